"""Decoder of a video stream, whose frames have timestamps of display in every container."""

from __future__ import annotations

import heapq
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

_IN_DECODING_ORDER = {"avi", "asf", "mxf"}
"""Containers that may tell only when a packet is decoded, by FFmpeg's names."""


class PictureDecoder:
    """Decoder of the frames of a video stream.

    Args:
        container: the opened file.
        stream: the stream of it to decode.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._stream = stream
        self._times = DisplayTimes(container, stream)
        self._unpack = (
            av.BitStreamFilterContext("mpeg4_unpack_bframes", stream)
            if _may_be_packed(stream)
            else None
        )

    def decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        """The frames that are ready after ``packet``, which may be used up; None for the end.

        Raises:
            FFmpegError: the packet is damaged.
        """
        if packet is None or self._unpack is None:
            return self._decode(packet)
        return [frame for part in self._unpack.filter(packet) for frame in self._decode(part)]

    def _decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        if packet is not None:
            self._times.send(packet)
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            if packet is not None:
                self._times.lose(packet)
            raise
        for frame in frames:
            frame.pts = self._times.of(frame.pts, is_intra=frame.pict_type == PictureType.I)
        return frames


class DisplayTimes:
    """Timestamps of frames in display order, where the container has those of decoding only.

    FFmpeg hands those on for H.264, although its pictures are reordered; for MPEG-2 and MPEG-4 it
    works out others, which are wrong where several pictures share a packet. Taken together they are
    right: each picture shown gets the earliest that is left.

    Args:
        container: the opened file.
        stream: the stream of it.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._is_in_doubt = container.format.name in _IN_DECODING_ORDER
        self._may_trust = not _may_be_packed(stream)
        self._last: int | None = None
        self._waiting: list[int] = []

    def send(self, packet: Packet[Any]) -> None:
        """Takes down the time of a packet before it is decoded."""
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None or packet.is_discard or not (self._is_in_doubt or packet.pts is None):
            return
        if self._may_trust and self._last is not None and ticks <= self._last:
            self._is_in_doubt = False  # a time that runs back is one of display
            self._waiting.clear()
            return
        self._last = ticks
        heapq.heappush(self._waiting, ticks)

    def lose(self, packet: Packet[Any]) -> None:
        """Forgets the time of a packet that did not decode."""
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks in self._waiting:
            self._waiting.remove(ticks)
            heapq.heapify(self._waiting)

    def of(self, pts: int | None, *, is_intra: bool) -> int | None:
        """The time of the next frame shown.

        Args:
            pts: the decoder's.
            is_intra: whether it refers to no other: what was decoded before it has been shown, or
                never will be.
        """
        while is_intra and pts is not None and self._waiting and self._waiting[0] < pts:
            heapq.heappop(self._waiting)
        return heapq.heappop(self._waiting) if self._waiting else pts


def _may_be_packed(stream: VideoStream) -> bool:
    """Whether a packet may hold two pictures, and the next one none, as DivX made them."""
    return stream.codec_context.codec.canonical_name == "mpeg4"
