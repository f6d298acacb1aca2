"""Conversion of text subtitles to the codec that a container takes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from vqe_fast.video.media.remux import PacketCopier
from vqe_fast.video.media.stream_copy import StreamCopy
from vqe_fast.video.media.tags import stream_tags

_CODECS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
"""FFmpeg's name of a muxer → the codec of text that its readers know best."""

_TEXT = {"ass", "mov_text", "subrip", "text", "webvtt"}
_TICK = Fraction(1, 1000)
_ESCAPES = {b"\\{{}": b"{", b"\\\xe2\x81\xa0": b"\\"}
"""What FFmpeg's decoder of WebVTT writes for letters that begin codes, and encoders do not undo."""


@dataclass(frozen=True)
class SubtitleConversion:
    """A stream of text subtitles to write in another codec: text, times, bold and italics.

    Attributes:
        stream: the stream of the source.
        codec: FFmpeg's name of the codec to write.
    """

    stream: SubtitleStream
    codec: str

    def add_to(self, output: OutputContainer) -> Stream:
        """Adds the stream to ``output``, with its metadata and dispositions.

        Raises:
            ValueError: the container does not take the codec.
        """
        added = output.add_stream(self.codec)
        assert isinstance(added, SubtitleStream)
        header = self._decoder().subtitle_header or _opened("subrip", None).subtitle_header
        added.codec_context.subtitle_header = header  # of styles, without which none opens
        added.codec_context.time_base = added.time_base = _TICK
        added.metadata.update(stream_tags(self.stream))
        added.disposition = self.stream.disposition
        return added

    def packets_to(self, added: Stream) -> SubtitleCopier:
        """What makes packets of ``added``, which :meth:`add_to` gave, of those of the source."""
        assert isinstance(added, SubtitleStream)
        return SubtitleCopier(added, self._decoder())

    def _decoder(self) -> SubtitleCodecContext:
        """A decoder of its own: that of the source stays as it is."""
        context = self.stream.codec_context
        return _opened(context.codec.name, context.extradata)


Transfer: TypeAlias = StreamCopy | SubtitleConversion
"""How a stream beside the video is written."""


class SubtitleCopier(PacketCopier):
    """Remuxes the packets of one stream of subtitles into one of another codec."""

    def __init__(self, stream: SubtitleStream, decoder: SubtitleCodecContext) -> None:
        """Prepares for ``stream`` of the file to write and packets that ``decoder`` takes."""
        super().__init__(stream)
        self._encoder = stream.codec_context
        self._decoder = decoder

    def adopt(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Takes the next packet.

        Returns:
            The packets that can be written now; none for a pause.

        Raises:
            FFmpegError: the packet is damaged.
        """
        if self._is_left_out(packet):
            return []
        lines = self._decoder.decode2(packet)
        if lines is None or len(lines) == 0:
            return []
        text = b"\\N".join(_dialogue(line, place) for place, line in enumerate(lines))
        converted = self._encoder.encode_subtitle(SubtitleSet.create(text, 0, 0))
        converted.pts, converted.dts = packet.pts, packet.dts
        converted.duration = packet.duration
        if packet.time_base is not None:
            converted.time_base = packet.time_base
        return super().adopt(converted)


def find_conversion(format_name: str, stream: Stream) -> SubtitleConversion | None:
    """How text subtitles are written to a container that does not take their codec.

    Args:
        format_name: FFmpeg's name of the muxer.
        stream: the stream to convert.

    Returns:
        None if they are no text.
    """
    if not isinstance(stream, SubtitleStream) or stream.codec_context is None:
        return None
    is_text = stream.codec_context.codec.canonical_name in _TEXT
    return SubtitleConversion(stream, _CODECS[format_name]) if is_text else None


def _dialogue(line: Any, place: int) -> bytes:
    """A line with its fields in ASS, or its text alone if another comes before it."""
    assert isinstance(line, AssSubtitle)
    content: bytes = line.ass
    for escape, letter in _ESCAPES.items():
        content = content.replace(escape, letter)
    return content if place == 0 else content.split(b",", 8)[-1]


def _opened(codec: str, extradata: bytes | None) -> SubtitleCodecContext:
    decoder = av.CodecContext.create(codec, "r")
    decoder.extradata = extradata
    decoder.open()
    return cast(SubtitleCodecContext, decoder)
