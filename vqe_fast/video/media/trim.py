"""Trimming to a number of frames, every stream at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from vqe_fast.video.media.reader import Item

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
