"""Weaving of fields into frames, and flags of frames whose decoder leaves them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame

from vqe_fast.video.media.showinfo import Scan

FieldCoding: TypeAlias = "Literal['apart'] | Scan"
"""How HEVC has interlaced frames: each field a picture, or woven with that field first."""


class FieldWeaver:
    """Frames from the pictures of a stream that is coded in fields, or whose flags are missing.

    Args:
        like: a decoded picture of the stream.
        first: which field of a frame comes first.
        apart: whether pictures are fields; otherwise they are frames that only lack their flags.
        on_lone: called with each field that has no partner, and is shown as both of its frame.
    """

    def __init__(
        self,
        like: VideoFrame,
        first: Scan,
        *,
        apart: bool,
        on_lone: Callable[[VideoFrame], None],
    ) -> None:
        self._on_lone = on_lone
        self._is_apart = apart
        self._is_top_first = first == "top first"
        side = "top" if self._is_top_first else "bottom"
        if apart:
            self._weave = _Chain(like, "weave", f"first_field={side}")
            self._tops = _Chain(like, "select", "expr=eq(interlace_type\\,TOPFIRST)")
        else:
            self._flag = _Chain(like, "setfield", f"mode={side[0]}ff")

    def __call__(
        self, items: Iterable[VideoFrame | Packet[Any]]
    ) -> Iterator[VideoFrame | Packet[Any]]:
        """Yields frames in place of the pictures, and packets of other streams as they come."""
        held: VideoFrame | None = None
        for item in items:
            if isinstance(item, Packet):
                yield item
            elif not self._is_apart:
                yield self._flag(item)
            elif self._is_first(item):
                if held is not None:
                    yield self._alone(held)
                held = item
            else:
                yield self._alone(item) if held is None else self._woven(held, item)
                held = None
        if held is not None:
            yield self._alone(held)

    def _is_first(self, field: VideoFrame) -> bool:
        """Decoders flag a field as one that comes first if it is a top field."""
        is_top = self._tops.passes(field)
        return is_top == self._is_top_first

    def _alone(self, field: VideoFrame) -> VideoFrame:
        self._on_lone(field)
        return self._woven(field, field)

    def _woven(self, first: VideoFrame, second: VideoFrame) -> VideoFrame:
        frame = self._weave(first, second)
        frame.duration = first.duration + second.duration
        return frame


class _Chain:
    """A filter between source and sink, for pictures like one."""

    def __init__(self, like: VideoFrame, name: str, options: str) -> None:
        graph = self._graph = Graph()
        self._source = graph.add_buffer(
            width=like.width,
            height=like.height,
            format=like.format,
            time_base=like.time_base or Fraction(1, 25),
        )
        chosen, self._sink = graph.add(name, options), graph.add("buffersink")
        self._source.link_to(chosen)
        chosen.link_to(self._sink)
        graph.configure()

    def __call__(self, *pictures: VideoFrame) -> VideoFrame:
        """What comes of pictures, with the time of the first."""
        for picture in pictures:
            self._source.push(picture)
        frame = self._sink.pull()
        assert isinstance(frame, VideoFrame)
        frame.pts, frame.time_base = pictures[0].pts, pictures[0].time_base
        return frame

    def passes(self, picture: VideoFrame) -> bool:
        """Whether the filter lets a picture through."""
        self._source.push(picture)
        try:
            self._sink.pull()
        except BlockingIOError:
            return False
        return True
