"""Packets of other streams: copied byte for byte, at their times as far as these make sense."""

from __future__ import annotations

from typing import Any

from av.packet import Packet
from av.stream import Stream


class PacketCopier:
    """Makes the packets of one stream those of another, in another file."""

    def __init__(self, stream: Stream) -> None:
        """Prepares for ``stream`` of the file to write."""
        self._stream = stream
        self._last: int | None = None

    def adopt(self, packet: Packet[Any]) -> None:
        """Moves ``packet`` to the stream.

        Damaged files lack times or have them run backwards, which no container takes.
        """
        dts = packet.pts if packet.dts is None else packet.dts
        if self._last is not None:
            dts = self._last if dts is None else max(dts, self._last)
        packet.dts = self._last = dts or 0
        packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
        packet.stream = self._stream
