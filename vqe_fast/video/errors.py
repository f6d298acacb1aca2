"""``VideoError``, for videos that cannot be read, enhanced or written as asked."""

from __future__ import annotations


class VideoError(ValueError):
    """An error in source, target or options: one sentence for the user, and what to do about it."""
