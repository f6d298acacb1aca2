"""What FFmpeg tells in its log alone: chroma siting, field order, Dolby Vision, cropping."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, cast

from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame

from vqe_fast.video.media.ffmpeg_log import captured_log

Scan = Literal["progressive", "top first", "bottom first"]
"""How the rows of a frame were captured: at once, or as two fields one after the other."""

_SCANS: dict[str, Scan] = {"P": "progressive", "T": "top first", "B": "bottom first"}


@dataclass(frozen=True)
class ShowInfo:
    """Chroma siting and field order of a frame, which PyAV does not have.

    Attributes:
        chroma_location: FFmpeg's name of the siting of chroma samples, such as ``left``.
        scan: whether the frame is interlaced, and which field comes first.
    """

    chroma_location: str
    scan: Scan


def look_at(frame: VideoFrame) -> ShowInfo:
    """Properties of ``frame`` by FFmpeg's filter ``showinfo``."""
    graph = Graph()
    with captured_log() as lines:
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 25),
        )
        info = graph.add("showinfo", checksum="0")
        writer = graph.add("buffersink")
        source.link_to(info)
        info.link_to(writer)
        graph.configure()
        source.push(frame)
        writer.pull()
    text = " ".join(message for _, name, message in lines if name.startswith("showinfo"))
    location, scan = re.search(r" cl:(\S+)", text), re.search(r" i:([PTB]) ", text)
    return ShowInfo(
        location[1] if location else "unspecified",
        _SCANS[scan[1]] if scan else "progressive",
    )


def dolby_vision_profile(container: InputContainer) -> tuple[int, int] | None:
    """Dolby Vision profile and compatibility of the file; None where it says nothing.

    A base layer whose compatibility number is 0 shows right colours with its metadata only.
    """
    record = re.search(
        r"DOVI configuration.*profile: (\d+).*compatibility id: (\d+)", _dump(container)
    )
    return (int(record[1]), int(record[2])) if record else None


def cropping_of(container: InputContainer, index: int) -> tuple[int, int, int, int]:
    """Samples at the left, right, top and bottom of a stream that its container says to hide.

    FFmpeg's decoders do not cut them off.
    """
    stream = re.search(rf"Stream #0:{index}\b.*?(?=Stream #|\Z)", _dump(container), re.DOTALL)
    crop = re.search(r"Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", stream[0]) if stream else None
    return (int(crop[1]), int(crop[2]), int(crop[3]), int(crop[4])) if crop else (0, 0, 0, 0)


def _dump(container: InputContainer) -> str:
    with captured_log():
        return str(cast(Any, container).dumps_format())  # PyAV's stubs lack it
