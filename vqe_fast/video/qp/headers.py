"""Header fields of a bitstream, from FFmpeg's filter ``trace_headers``."""

from __future__ import annotations

from typing import Any, NamedTuple

import av
from av.packet import Packet
from av.video.stream import VideoStream

from vqe_fast.video.media.ffmpeg_log import captured_log


class Unit(NamedTuple):
    """One header: its title and its fields, as the standard names them."""

    title: str
    fields: dict[str, int]


class HeaderReader:
    """Reads the headers of a stream's packets, which have to come in decoding order.

    Attributes:
        extradata: the headers that the container keeps apart from the packets.
    """

    def __init__(self, stream: VideoStream, leave_out: str) -> None:
        """Prepares for ``stream``.

        Args:
            stream: HEVC or AV1.
            leave_out: types of units that are not to be read, as ``filter_units`` takes them.

        Raises:
            FFmpegError: the extradata is damaged.
        """
        chain = f"filter_units=remove_types={leave_out},trace_headers"
        with captured_log() as lines:
            self._filter = av.BitStreamFilterContext(chain, stream)
        self.extradata = _parse(lines)

    def read(self, packet: Packet[Any]) -> list[Unit]:
        """The headers of ``packet``, which is used up, before the first that is damaged."""
        is_damaged = False
        with captured_log() as lines:
            try:
                self._filter.filter(packet)
            except av.error.FFmpegError:
                is_damaged = True
        units = _parse(lines)
        return units[:-1] if is_damaged else units


def _parse(lines: list[tuple[int, str, str]]) -> list[Unit]:
    """Titles stand alone; fields are ``position name bits = value``, where bits may be missing."""
    units: list[Unit] = []
    for level, name, message in lines:
        if level != av.logging.INFO or name != "trace_headers":
            continue
        words = message.split()
        if len(words) >= 4 and words[-2] == "=" and units:
            units[-1].fields[words[1]] = int(words[-1])
        else:
            units.append(Unit(message.strip(), {}))
    return units
