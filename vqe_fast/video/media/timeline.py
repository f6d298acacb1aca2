"""Continuous timestamps of transport and program streams, whose own may restart in the middle."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from typing import Any

from av.packet import Packet

_EARLY, _LATE = Fraction(1, 10), 1
"""Seconds before and after the expected time where a timestamp surely continues the last one."""

_GAP = 10
"""Seconds without any packet that are a loss of reception; beyond, timestamps have jumped."""

_REMEMBERED = 4
"""Recordings whose packets may still be interleaved with each other."""


class Timeline:
    """Continuous timestamps of a file that was joined from recordings, each with its own.

    MPEG's transport and program streams may be cut and joined as they are, so that timestamps
    restart or jump: at the seam of two recordings, between the cells of a DVD, at the end of a
    counter. From there on an offset is added, the same for all streams, so that they stay in step.
    The packets of the recordings are interleaved at a seam; each gets the offset of its own.

    Attributes:
        restarts: how many there were so far.
    """

    def __init__(self) -> None:
        self.restarts = 0
        self._offsets = [Fraction(0)]
        self._recording: dict[int, int] = {}  # stream → the one that its last packet was from
        self._decoded: dict[int, Fraction] = {}  # stream → end of its last packet, in decoding time
        self._times: dict[
            int, Fraction
        ] = {}  # stream → decoding time of its last packet, as it was
        self._lengths: dict[int, Fraction] = {}
        self._shown: Fraction | None = None  # end of the last picture, in display time

    def place(self, packet: Packet[Any]) -> None:
        """Adds the offset to the timestamps of the next packet of the file."""
        ticks, base = packet.pts if packet.dts is None else packet.dts, packet.time_base
        if ticks is None or base is None:
            return
        index, kind = packet.stream.index, packet.stream.type
        is_paced = packet.dts is not None and kind in ("video", "audio")
        if is_paced and index in self._decoded:
            number = self._recording_of(packet, ticks * base)
        else:
            number = self._nearest(ticks * base)
        offset = round(self._offsets[number] / base)
        packet.dts = None if packet.dts is None else packet.dts + offset
        packet.pts = None if packet.pts is None else packet.pts + offset
        if is_paced:
            self._recording[index] = number
            self._decoded[index] = (ticks + offset) * base + self._length(packet, ticks * base)
        if kind == "video" and packet.pts is not None:
            end = packet.pts * base + self._lengths.get(index, 0)
            self._shown = end if self._shown is None else max(self._shown, end)

    def _length(self, packet: Packet[Any], time: Fraction) -> Fraction:
        """Seconds that a packet lasts; where it does not say, as long as the one before it."""
        assert packet.time_base is not None
        index = packet.stream.index
        step = time - self._times.get(index, time)
        self._times[index] = time
        if packet.duration:
            self._lengths[index] = packet.duration * packet.time_base
        elif 0 < step <= _LATE:
            self._lengths[index] = step
        return self._lengths.get(index, Fraction(0))

    def _remembered(self) -> range:
        return range(max(0, len(self._offsets) - _REMEMBERED), len(self._offsets))

    def _nearest(self, time: Fraction) -> int:
        """The recording of a packet of a stream that may pause for any time, or begins."""
        now = max(self._decoded.values(), default=Fraction(0))

        def distance(number: int) -> Fraction:
            return abs(time + self._offsets[number] - now)

        return min(reversed(self._remembered()), key=distance)

    def _recording_of(self, packet: Packet[Any], time: Fraction) -> int:
        """The recording of a packet of sound or pictures, which may begin one."""
        index, known = packet.stream.index, self._remembered()
        expected = self._decoded[index]
        later = range(max(self._recording[index], known.start), known.stop)
        for number in chain(later, reversed(range(known.start, later.start))):
            if -_EARLY <= time + self._offsets[number] - expected <= _LATE:
                return number
        latest = max(self._decoded.values()) + _GAP
        for number in later:
            if expected - _EARLY <= time + self._offsets[number] <= latest:
                return number
        return self._restart(packet, time)

    def _restart(self, packet: Packet[Any], time: Fraction) -> int:
        """Lets another recording begin with ``packet``, behind what there is."""
        offset = self._decoded[packet.stream.index] - time
        if self._shown is not None:
            shown = time
            if packet.stream.type == "video" and packet.pts is not None:
                assert packet.time_base is not None
                shown = packet.pts * packet.time_base
            offset = max(offset, self._shown - shown)
        self._offsets.append(offset)
        self.restarts += 1
        return len(self._offsets) - 1
