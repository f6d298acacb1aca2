"""Decoder of a video stream, whose frames have timestamps of display in every container."""

from __future__ import annotations

import heapq
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from vqe_fast.video.media.open import DECODER_OPTIONS
from vqe_fast.video.media.tags import ALPHA_MODE

_IN_DECODING_ORDER = {"avi", "asf", "mxf"}
"""Containers that may tell only when a packet is decoded, by FFmpeg's names."""

_WITHOUT_DISPLAY_TIMES, _FIRST_IS_EARLY = {"avi", "asf"}, {"mpeg1video", "mpeg2video"}
"""Those of them whose packets have one time, to which FFmpeg adds the delay of decoding; and codecs
of which it learns that there is a delay when the first packet has gone without."""

_REMEMBERED = 64  # packets: decoders hold fewer

WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec → the decoder that takes its layer of transparency, which FFmpeg's own leaves out."""


class PictureDecoder:
    """Decoder of the frames of a video stream.

    Args:
        container: the opened file.
        stream: the stream of it to decode.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._context = _context_of(stream)
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
            frames = self._context.decode(packet)
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
        self._is_made_up = (
            container.format.name in _WITHOUT_DISPLAY_TIMES
            and stream.codec_context.codec.canonical_name in _FIRST_IS_EARLY
        )
        self._may_trust = not _may_be_packed(stream)
        self._last: int | None = None
        self._waiting: list[int] = []
        self._sent: dict[int, int] = {}  # FFmpeg's time of display → the one taken down

    def send(self, packet: Packet[Any]) -> None:
        """Takes down the time of a packet before it is decoded."""
        ticks = self._time_of(packet)
        if ticks is None or packet.is_discard or not (self._is_in_doubt or packet.pts is None):
            return
        if self._may_trust and self._last is not None and ticks <= self._last:
            self._is_in_doubt = False  # a time that runs back is one of display
            self._waiting.clear()
            return
        self._last = ticks
        heapq.heappush(self._waiting, ticks)
        if packet.pts is not None:
            self._sent[packet.pts] = ticks
        if len(self._sent) > _REMEMBERED:
            del self._sent[next(iter(self._sent))]

    def lose(self, packet: Packet[Any]) -> None:
        """Forgets the time of a packet that did not decode."""
        ticks = self._time_of(packet)
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
        if is_intra and pts is not None:
            decoded = self._sent.get(pts, pts)
            while self._waiting and self._waiting[0] < decoded:
                heapq.heappop(self._waiting)
        return heapq.heappop(self._waiting) if self._waiting else pts

    def _time_of(self, packet: Packet[Any]) -> int | None:
        if packet.pts is None or (self._is_made_up and packet.dts is not None):
            return packet.dts
        return packet.pts


def has_layer_of_alpha(stream: VideoStream) -> bool:
    """Whether Matroska says that packets hold transparency beside the picture."""
    return any(
        name.lower() == ALPHA_MODE and value == "1" for name, value in stream.metadata.items()
    )


def _context_of(stream: VideoStream) -> VideoCodecContext:
    """The decoder of ``stream``, or one with its settings that decodes transparency too."""
    usual = stream.codec_context
    name = WITH_ALPHA.get(usual.codec.canonical_name)
    if name is None or usual.is_hwaccel or not has_layer_of_alpha(stream):
        return usual
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)
    context.options = dict(DECODER_OPTIONS)
    context.thread_count = usual.thread_count
    context.color_primaries, context.color_trc = usual.color_primaries, usual.color_trc
    context.colorspace, context.color_range = usual.colorspace, usual.color_range
    return context


def _may_be_packed(stream: VideoStream) -> bool:
    """Whether a packet may hold two pictures, and the next one none, as DivX made them."""
    return stream.codec_context.codec.canonical_name == "mpeg4"
