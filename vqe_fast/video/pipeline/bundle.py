"""Bundles, the items of the pipeline: packets, and the frame that follows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from vqe_fast.video.frames.transfer import Result
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.media.reader import Item

_MAX_PACKETS = 64
"""Packets that may travel together: the file may have long stretches without frames."""


@dataclass
class FrameBundle:
    """A frame with the packets before it; so a queue of bundles is a queue of frames.

    Attributes:
        packets: of other streams, in the order of the file.
        frame: None where packets come for long without a frame, and after the last one.
        repeats: whether what the model sees of the frame is what it saw of the one before.
        begins_scene: whether the frame is known not to continue the ones before it.
        coding: what the model is told; None if it is told nothing.
        is_kept: whether the frame is to be written, not only looked at by those beside it.
        result: the enhanced planes, once they are on their way.
    """

    packets: list[Packet[Any]] = field(default_factory=list)
    frame: VideoFrame | None = None
    repeats: bool = False
    begins_scene: bool = False
    coding: FrameCoding | None = None
    is_kept: bool = True
    result: Result | None = None

    def items(self) -> list[Item]:
        """Packets and frame to be written, in the order of the file."""
        return [*self.packets, *((self.frame,) if self.frame and self.is_kept else ())]


def in_bundles(items: Iterable[Item]) -> Iterator[FrameBundle]:
    """Groups the frames and packets of a file into bundles."""
    bundle = FrameBundle()
    for item in items:
        if isinstance(item, VideoFrame):
            bundle.frame = item
        else:
            bundle.packets.append(item)
        if bundle.frame is not None or len(bundle.packets) == _MAX_PACKETS:
            yield bundle
            bundle = FrameBundle()
    if bundle.packets:
        yield bundle
