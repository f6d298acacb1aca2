"""The one exception for videos that cannot be read, enhanced or written as asked."""

from __future__ import annotations


class VideoError(ValueError):
    """One sentence for the user: what came, and what to do about it."""
