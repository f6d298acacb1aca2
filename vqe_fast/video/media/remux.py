"""Remuxing: packets of other streams copied byte for byte, timestamps made monotonic."""

from __future__ import annotations

from typing import Any

import av
from av.packet import Packet
from av.stream import Stream

BAD_DATA = (av.error.InvalidDataError, av.error.ArgumentError, av.error.PatchWelcomeError)
"""What muxers raise at packets that they cannot take, where files cannot be blamed."""

_MAX_DELAY = 16
"""Packets of reordered video that may come before the first whose decoding time is known."""


HAVE_EDIT_LISTS = {"mp4", "mov"}
"""Containers that can say that packets before time zero are for the decoder only, by muxer."""


class PacketCopier:
    """Remuxes the packets of one stream into a stream of another file.

    Packets that the source's player decodes without showing them, as an edit list of MP4 says, are
    copied where the container can say the same, and left out elsewhere.
    """

    def __init__(self, stream: Stream) -> None:
        """Prepares for ``stream`` of the file to write."""
        self._stream = stream
        self._can_hide = stream.container.format.name in HAVE_EDIT_LISTS
        self._was_cut = False
        self._held: list[Packet[Any]] = []
        self._last: int | None = None
        self._open_ended: Packet[Any] | None = None
        self._gap = 0

    def adopt(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Takes the next packet.

        Of reordered video in Matroska the first packets lack decoding times, which are not their
        times of display: they wait for the first that has one. Damaged files lack times anywhere or
        have them run backwards, which no container takes.

        Returns:
            The packets that can be written now.
        """
        if self._is_left_out(packet):
            return []
        self._held.append(packet)
        is_unknown = self._stream.type == "video" and packet.dts is None and self._last is None
        return [] if is_unknown and len(self._held) <= _MAX_DELAY else self._release()

    def _is_left_out(self, packet: Packet[Any]) -> bool:
        """Whether a packet is not shown, or less than half of it is heard after a cut."""
        pts = 0 if packet.pts is None else packet.pts
        if packet.is_discard:
            self._was_cut = True
            return not (self._can_hide and pts < 0)
        return self._was_cut and not self._can_hide and 2 * pts + (packet.duration or 0) < 0

    def flush(self) -> list[Packet[Any]]:
        """The packets that wait for a decoding timestamp, or for the one after them."""
        packets = self._release()
        return packets + self._ended()

    def _release(self) -> list[Packet[Any]]:
        held, self._held = self._held, []
        if len(held) > 1:
            _reckon_back(held)
        for packet in held:
            self._set_times(packet)
            packet.stream = self._stream
        needs_ends = self._can_hide and self._stream.type == "audio"
        return self._all_but_an_open_end(held) if needs_ends else held

    def _all_but_an_open_end(self, packets: list[Packet[Any]]) -> list[Packet[Any]]:
        """Holds a packet without a duration back: the last would be cut off by MP4's edit list."""
        ready = []
        for packet in packets:
            if self._open_ended is not None:
                assert packet.dts is not None and self._open_ended.dts is not None  # both are set
                self._gap = packet.dts - self._open_ended.dts
            ready += self._ended()
            if packet.duration:
                self._gap = packet.duration
                ready.append(packet)
            else:
                self._open_ended = packet
        return ready

    def _ended(self) -> list[Packet[Any]]:
        """The packet that was held back, if any, as long as the gap: what follows may be empty."""
        held, self._open_ended = self._open_ended, None
        if held is None:
            return []
        held.duration = self._gap
        return [held]

    def _set_times(self, packet: Packet[Any]) -> None:
        dts = packet.pts if packet.dts is None else packet.dts
        if self._last is not None:
            if packet.dts is None and self._stream.type == "video":
                dts = self._last + 1
            dts = self._last if dts is None else max(dts, self._last)
        packet.dts = self._last = dts or 0
        packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)


def _reckon_back(packets: list[Packet[Any]]) -> None:
    """Gives packets decoding times before that of the last, or before the first that is shown."""
    *leading, last = packets
    dts = last.dts
    if dts is None:
        leading = packets
        dts = min((packet.pts for packet in packets if packet.pts is not None), default=0)
    for packet in reversed(leading):
        dts -= packet.duration or 1
        packet.dts = dts
