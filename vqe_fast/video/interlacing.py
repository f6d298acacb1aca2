"""Interlaced video: refused, or enhanced field by field."""

from __future__ import annotations

from typing import Literal

from vqe_fast.video.errors import VideoError
from vqe_fast.video.source import VideoSource

Interlaced = Literal["refuse", "fields"]
"""What to do with interlaced video."""

_INTERLACED_ORDERS = (2, 3, 4, 5)  # FFmpeg's field orders: TT, BB, TB, BT


def works_on_fields(source: VideoSource, interlaced: Interlaced) -> bool:
    """Whether the frames of ``source`` are to be enhanced as two pictures of half their height.

    Raises:
        VideoError: the source is interlaced and that is not asked for, or cannot be done.
    """
    if interlaced not in ("refuse", "fields"):
        raise VideoError(f"interlaced video can be refused or enhanced as fields, not {interlaced}")
    is_flagged = source.facts.scan != "progressive"
    says_so = source.video_stream.codec_context.field_order in _INTERLACED_ORDERS
    if not is_flagged and not says_so:
        return False
    if interlaced == "refuse":
        raise VideoError(
            f"{source.path} is interlaced, which enhancement as whole frames would damage; "
            "deinterlace it first, or have its fields enhanced (--interlaced fields)"
        )
    if not is_flagged:
        raise VideoError(
            f"the container of {source.path} says that it is interlaced, its frames that they are "
            "progressive; correct the container's flag, or deinterlace it first"
        )
    if source.facts.height % 2:
        raise VideoError(
            f"{source.path} is interlaced and has {source.facts.height} rows, an odd number; "
            "deinterlace it first"
        )
    return True
