"""Continuous timestamps of files whose own restart in the middle."""

from __future__ import annotations

from itertools import chain
from typing import Any, cast

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet

_EARLY, _LATE = 0.1, 1.0
"""Seconds before and after the expected time where a timestamp surely continues the last one."""

_REORDERED = 1
"""Seconds that times of decoding may run back where FFmpeg takes those of display for them, as it
does behind a seam in Matroska."""

_GAP = 10
"""Seconds without any packet that are a loss of reception; beyond, timestamps have jumped."""

_REMEMBERED = 4
"""Recordings whose packets may still be interleaved with each other."""


def timeline_of(container: InputContainer) -> Timeline:
    """A timeline for a file that is opened for reading."""
    return Timeline(jumps=bool(container.format.flags & cast(int, Flags.ts_discont.value)))


class Timeline:
    """Continuous timestamps of a file that was joined from recordings, each with its own.

    MPEG's transport and program streams may be cut and joined as they are, so that timestamps
    restart or jump: at the seam of two recordings, between the cells of a DVD, at the end of a
    counter. Other files are joined so too, such as the pieces that browsers record. From there on
    an offset is added, the same for all streams, so that they stay in step. The packets of the
    recordings are interleaved at a seam; each gets the offset of its own.

    Args:
        jumps: whether times far ahead are those of another recording; otherwise they are a pause.

    Attributes:
        restarts: how many there were so far.
    """

    def __init__(self, *, jumps: bool) -> None:
        self._jumps = jumps
        self._early = _EARLY if jumps else _REORDERED
        self.restarts = 0
        # In seconds, of which a float has far more digits than timestamps tell apart.
        self._offsets = [0.0]
        self._bases: dict[int, float] = {}  # stream → seconds per tick
        self._recording: dict[int, int] = {}  # stream → the one that its last packet was from
        self._decoded: dict[int, float] = {}  # stream → end of its last packet, in decoding time
        self._times: dict[int, float] = {}  # stream → what its last packet said of that
        self._lengths: dict[int, float] = {}  # stream → how long its packets last
        self._shown: float | None = None  # end of the last picture, in display time

    def place(self, packet: Packet[Any]) -> None:
        """Adds the offset to the timestamps of the next packet of the file."""
        pts, dts = packet.pts, packet.dts
        ticks = pts if dts is None else dts
        if ticks is None:
            return
        stream = packet.stream
        index, kind = stream.index, stream.type
        base = self._base(packet)
        time = ticks * base
        is_paced = dts is not None and kind in ("video", "audio")
        if is_paced and index in self._decoded:
            number = self._recording_of(packet, time)
        else:
            number = self._nearest(time)
        offset = self._offsets[number]
        if offset:
            moved = round(offset / base)
            packet.dts = None if dts is None else dts + moved
            packet.pts = pts = None if pts is None else pts + moved
        if is_paced:
            self._recording[index] = number
            self._decoded[index] = time + offset + self._length(packet, time)
        if kind == "video" and pts is not None:
            end = pts * base + self._lengths.get(index, 0)
            self._shown = end if self._shown is None else max(self._shown, end)

    def _base(self, packet: Packet[Any]) -> float:
        index = packet.stream.index
        if index not in self._bases:
            assert packet.time_base is not None
            self._bases[index] = float(packet.time_base)
        return self._bases[index]

    def _length(self, packet: Packet[Any], time: float) -> float:
        """Seconds that a packet lasts; where it does not say, as long as the one before it."""
        index = packet.stream.index
        step = time - self._times.get(index, time)
        self._times[index] = time
        if packet.duration:
            self._lengths[index] = packet.duration * self._base(packet)
        elif 0 < step <= _LATE:
            self._lengths[index] = step
        return self._lengths.get(index, 0)

    def _remembered(self) -> range:
        return range(max(0, len(self._offsets) - _REMEMBERED), len(self._offsets))

    def _nearest(self, time: float) -> int:
        """The recording of a packet of a stream that may pause for any time, or begins."""
        if len(self._offsets) == 1:
            return 0
        now = max(self._decoded.values(), default=0)

        def distance(number: int) -> float:
            return abs(time + self._offsets[number] - now)

        return min(reversed(self._remembered()), key=distance)

    def _recording_of(self, packet: Packet[Any], time: float) -> int:
        """The recording of a packet of sound or pictures, which may begin one."""
        index = packet.stream.index
        expected, last = self._decoded[index], self._recording[index]
        if -self._early <= time + self._offsets[last] - expected <= _LATE:
            return last
        known = self._remembered()
        later = range(max(last, known.start), known.stop)
        for number in chain(later, reversed(range(known.start, later.start))):
            if -self._early <= time + self._offsets[number] - expected <= _LATE:
                return number
        latest = max(self._decoded.values()) + _GAP
        for number in later:
            placed = time + self._offsets[number]
            if expected - self._early <= placed and (placed <= latest or not self._jumps):
                return number
        return self._restart(packet, time)

    def _restart(self, packet: Packet[Any], time: float) -> int:
        """Lets another recording begin with ``packet``, behind what there is."""
        offset = self._decoded[packet.stream.index] - time
        if self._shown is not None:
            begin = time
            if packet.stream.type == "video" and packet.pts is not None:
                begin = packet.pts * self._base(packet)
            offset = max(offset, self._shown - begin)
        self._offsets.append(offset)
        self.restarts += 1
        return len(self._offsets) - 1
