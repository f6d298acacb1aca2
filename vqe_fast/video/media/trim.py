"""Trimming to a beginning and a number of frames, every stream at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any, Protocol

from av.packet import Packet
from av.video.frame import VideoFrame

from vqe_fast.video.errors import VideoError
from vqe_fast.video.media.open import is_picture
from vqe_fast.video.media.reader import Item


class Writer(Protocol):
    """Interface of what takes the frames and packets of a video."""

    def write(self, item: Item) -> None:
        """Takes the next frame or packet."""
        ...

    def finish(self) -> None:
        """Writes the end of the file."""
        ...


_MAX_LAG = 10  # seconds that one stream may lie behind another in a file


def first_frames(items: Iterable[Item], count: int, audio: Collection[int]) -> Iterator[Item]:
    """The first ``count`` frames, and the packets that begin before the frame after them.

    Args:
        items: frames and packets of a :class:`~vqe_fast.video.media.reader.VideoReader`.
        count: frames to let through.
        audio: indices of the streams whose packets come regularly: the items are read on past the
            last frame until each of these has reached the cut, but not further than ten seconds.
    """
    items = iter(items)
    waiting: deque[Packet[Any]] = deque()
    passed = 0
    for item in items:
        if isinstance(item, Packet):
            waiting.append(item)
        elif passed < count:
            while waiting and _time(waiting[0]) < _time(item):
                yield waiting.popleft()
            yield item
            passed += 1
        else:
            cut = _time(item)
            remaining = _until_all_reach(cut, items, waiting, set(audio))
            yield from (packet for packet in remaining if _time(packet) < cut)
            return
    yield from waiting


def frames_from(items: Iterable[Item], seconds: Fraction) -> Iterator[Item]:
    """The frames from a time on, and the packets that begin with the first of them or later.

    Pictures attached to the file stay. The first frame comes before all packets.

    Args:
        items: frames and packets of a :class:`~vqe_fast.video.media.reader.VideoReader`.
        seconds: since the first frame.

    Raises:
        VideoError: there is no frame so late.
    """
    items = iter(items)
    pictures: list[Packet[Any]] = []
    waiting: deque[Packet[Any]] = deque()
    start: Fraction | None = None
    for item in items:
        if isinstance(item, Packet):
            (pictures if _is_timeless(item) else waiting).append(item)
            continue
        cut = _time(item)
        start = cut + seconds if start is None else start
        if cut >= start:
            yield item
            yield from pictures
            later = chain(waiting, items)
            yield from (each for each in later if _is_timeless(each) or _time(each) >= cut)
            return
        while waiting and _time(waiting[0]) < start - _MAX_LAG:
            waiting.popleft()
    raise VideoError(f"the video has no frame {float(seconds):g} seconds after its first one")


class FromZero:
    """Writer of a trimmed video, whose times begin with its first frame.

    Args:
        writer: takes frames and packets with their new times.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._start: Fraction | None = None

    def write(self, item: Item) -> None:
        """Writes the next frame or packet; the first is a frame."""
        if self._start is None:
            self._start = _time(item)
        if item.time_base is not None and not _is_timeless(item):
            ticks = round(self._start / item.time_base)
            if item.pts is not None:
                item.pts -= ticks
            if item.dts is not None and isinstance(item, Packet):
                item.dts -= ticks
        self._writer.write(item)

    def finish(self) -> None:
        """Writes the end of the file."""
        self._writer.finish()


def _is_timeless(item: Item) -> bool:
    """Whether an item belongs to the whole file, as cover art does."""
    return isinstance(item, Packet) and is_picture(item.stream)


def _until_all_reach(
    cut: Fraction, items: Iterable[Item], waiting: Iterable[Packet[Any]], behind: set[int]
) -> Iterator[Packet[Any]]:
    for packet in waiting:
        if _time(packet) >= cut:
            behind.discard(packet.stream.index)
        yield packet
    for item in items:
        if not behind or _time(item) > cut + _MAX_LAG:
            return
        if isinstance(item, VideoFrame):
            continue
        if _time(item) >= cut:
            behind.discard(item.stream.index)
        yield item


def _time(item: Item) -> Fraction:
    """Seconds; the beginning of the file for what has no time."""
    ticks = item.dts if item.pts is None else item.pts
    if ticks is None or item.time_base is None:
        return Fraction(0)
    return ticks * item.time_base
