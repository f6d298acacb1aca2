"""Packets and frames of the stream whose QPs are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vqe_fast.video.media.decoder import PictureDecoder
from vqe_fast.video.media.open import VideoInput, read_packets


class VideoPackets:
    """A video stream, and its packets in decoding order.

    Args:
        container: the opened file.
        stream: the stream of it to read.
        source: its name in messages.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, source: VideoInput) -> None:
        self.container, self.stream, self.source = container, stream, source
        self._decoder = PictureDecoder(container, stream)

    def __iter__(self) -> Iterator[Packet[Any]]:
        for packet in read_packets(self.container, self.source, self.stream):
            if packet.size:  # an empty one would make a decoder drain too early
                yield packet

    def decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        """The frames that are ready after ``packet``; at the end, None brings the last ones.

        There are none where the packet is damaged.
        """
        try:
            return self._decoder.decode(packet)
        except av.error.FFmpegError:
            return []

    def frames(self) -> Iterator[VideoFrame]:
        """All frames that decode, in display order."""
        for packet in self:
            yield from self.decode(packet)
        yield from self.decode(None)
