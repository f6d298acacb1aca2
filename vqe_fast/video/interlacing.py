"""Interlaced video: detection, refusal, and enhancement field by field."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

import av

from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.media.open import open_video, pick_stream
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.weaving import FieldCoding
from vqe_fast.video.options import Interlaced
from vqe_fast.video.qp.headers import HeaderReader
from vqe_fast.video.qp.packets import VideoPackets

_INTERLACED_ORDERS = (2, 3, 4, 5)  # FFmpeg's field orders: TT, BB, TB, BT

# HEVC's slices, and source_scan_type of its picture timing
_SLICES, _INTERLACED_SCAN = "0-31", 0
_LOOK_AHEAD = 4  # packets: the first may be damaged
# its pic_struct: one field, alone or with its partner before or behind it; two fields woven
_FIELD = {1, 2, 9, 10, 11, 12}
_TOP_FIRST, _BOTTOM_FIRST = {3, 5}, {4, 6}


def works_on_fields(source: VideoReader, interlaced: Interlaced) -> bool:
    """Whether the frames of ``source`` are to be enhanced field by field.

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
        raise SourceError(
            f"{source.path} is interlaced, which enhancement as whole frames would damage; "
            "deinterlace it first, or have its fields enhanced (--interlaced fields)"
        )
    if not is_flagged:
        raise SourceError(
            f"the container of {source.path} says that it is interlaced, its frames that they are "
            "progressive; correct the container's flag, or deinterlace it first"
        )
    if source.facts.height % 2:
        raise SourceError(
            f"{source.path} is interlaced and has {source.facts.height} rows, an odd number; "
            "deinterlace it first"
        )
    return True


def field_coding(source: VideoReader) -> FieldCoding | None:
    """How HEVC has the fields of interlaced frames; None for other codecs and progressive video.

    Either each picture is one field, which FFmpeg flags and does not weave, or two are woven, and
    FFmpeg does not flag that.

    Raises:
        VideoError: the headers say that it is interlaced, and not how.
    """
    if source.facts.codec != "hevc":
        return None
    structures = _structures(source)
    if source.facts.scan != "progressive" or structures & _FIELD:
        return "apart"
    if structures & _TOP_FIRST:
        return "top first"
    if structures & _BOTTOM_FIRST:
        return "bottom first"
    if structures:
        raise SourceError(
            f"{source.path} is HEVC that says it is interlaced, and not which field comes first; "
            "deinterlace it first"
        )
    return None


def _structures(source: VideoReader) -> set[int]:
    """``pic_struct`` of the first pictures that say they are interlaced."""
    found: set[int] = set()
    with suppress(av.error.FFmpegError), open_video(source.path) as container:
        stream = pick_stream(container, source.path)
        headers = HeaderReader(stream, _SLICES)
        for packet in islice(VideoPackets(container, stream, source.path), _LOOK_AHEAD):
            for _, fields in headers.read(packet):
                if fields.get("source_scan_type") == _INTERLACED_SCAN:
                    found.add(fields.get("pic_struct", 0))
    return found
