"""Stream copy: a stream of one container added to another with all its codec parameters."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeGuard

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from vqe_fast.video.media.remux import BAD_DATA, PacketCopier
from vqe_fast.video.media.tags import stream_tags

_PICTURE_TYPES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp"}
_ROUNDING = Fraction(2, 1000)  # seconds: milliseconds in Matroska, of two files and both ends
_WITHOUT_CONTEXT = "null"
"""A muxer that takes any codec: its streams only hold parameters."""


@dataclass(frozen=True)
class StreamCopy:
    """A stream to copy, and how.

    Attributes:
        stream: the stream of the source.
        picture: the attached picture that it consists of; None if it is none.
        keeps_tag: whether it keeps the codec tag that it has in the source.
    """

    stream: Stream
    picture: bytes | None
    keeps_tag: bool

    def add_to(self, output: OutputContainer) -> Stream | None:
        """Adds the stream to ``output``, with its metadata and dispositions.

        Returns:
            The new stream; None if it is written with the header and takes no packets.
        """
        if self.picture is not None and output.format.name == "matroska":
            mime = _PICTURE_TYPES.get(self.stream.codec_context.codec.canonical_name, "")
            name = self.stream.metadata.get("filename", f"cover.{mime.rpartition('/')[2]}")
            mime = self.stream.metadata.get("mimetype", mime)
            output.add_attachment(name, mime, self.picture)
            return None
        copy: Stream = output.add_data_stream()
        _copy_parameters(self.stream, copy, with_tag=self.keeps_tag)
        copy.time_base = self.stream.time_base
        copy.metadata.update(stream_tags(self.stream))
        copy.disposition = self.stream.disposition
        return None if copy.type == "attachment" else copy

    def packets_to(self, added: Stream) -> PacketCopier:
        """What makes packets of ``added``, which :meth:`add_to` gave, of those of the source."""
        return PacketCopier(added)


def find_copy(
    format_name: str, stream: Stream, picture: bytes | None, packets: list[Packet[Any]]
) -> StreamCopy | None:
    """How a container takes ``stream``, found by writing a file and reading it.

    Only that says for certain what a muxer takes, and whether demuxers find it again: some muxers
    write tracks of data without the description that makes them readable.

    Args:
        format_name: FFmpeg's name of the muxer.
        stream: the stream to copy.
        picture: the attached picture that ``stream`` consists of; None if it is none.
        packets: the first of ``stream``, which stay as they are; none if they come late.

    Returns:
        None if it does not.
    """
    for keeps_tag in (True, False):
        copy = StreamCopy(stream, picture, keeps_tag)
        try:
            is_whole = _comes_back(copy, format_name, packets)
        except (ValueError, av.error.FFmpegError):
            continue
        if is_whole:
            return copy
    return None


def codec_name(stream: Stream) -> str | None:
    """FFmpeg's name of the codec of ``stream``, or the tag of one that it does not know."""
    name: str | None = getattr(stream, "name", None) if stream.type != "attachment" else None
    return name or _parameters(stream)[0]


def _copy_parameters(source: Stream, target: Stream, *, with_tag: bool) -> None:
    """Copies what is known of the codec, as a bitstream filter that leaves packets alone does."""
    if not with_tag and source.codec_context is not None:
        with av.open(io.BytesIO(), "w", format=_WITHOUT_CONTEXT) as untagged:
            template = untagged.add_stream_from_template(source, opaque=True)
            BitStreamFilterContext("null", template, target)
    else:
        BitStreamFilterContext("null", source, target)


def _comes_back(copy: StreamCopy, format_name: str, packets: list[Packet[Any]]) -> bool:
    """Whether ``packets`` can be written and read again as the same stream."""
    file = io.BytesIO()
    if not packets and copy.stream.type == "data":
        packets = [av.Packet(b"data")]  # without one muxers leave the track out
    with av.open(file, "w", format=format_name) as output:
        stream = copy.add_to(output)
        output.start_encoding()
        taken = 0 if stream is None else _mux(output, stream, packets)
    if stream is None or not packets:
        return True
    if taken == 0:
        return False
    file.seek(0)
    with av.open(file, "r") as container:
        read = [packet for packet in container.demux() if packet.size]
        return len(container.streams) == 1 and _is_same(
            (copy.stream, packets), (container.streams[0], read)
        )


def _is_same(
    original: tuple[Stream, list[Packet[Any]]], copy: tuple[Stream, list[Packet[Any]]]
) -> bool:
    """Whether a copy gives the same data, as much sound, or whatever else of the same codec."""
    (stream, packets), (other, found) = original, copy
    if not found or other.type != stream.type:
        return False
    if _decodes(stream) and _decodes(other):
        same_sound = _sounds_alike((stream, packets), (other, found))
        return same_sound and _lasts_as_long(packets, found)
    if stream.type == "data":
        same_data = [bytes(packet) for packet in packets] == [bytes(packet) for packet in found]
        return same_data and _parameters(other) == _parameters(stream)
    return codec_name(other) == codec_name(stream)


def _decodes(stream: Stream) -> TypeGuard[AudioStream]:
    return stream.type == "audio" and stream.codec_context is not None


def _sounds_alike(
    original: tuple[AudioStream, list[Packet[Any]]], copy: tuple[AudioStream, list[Packet[Any]]]
) -> bool:
    """Whether a copy decodes to as much sound; the codec may go by the name of a kin, as MP2's."""
    (form, lengths), (other_form, other_lengths) = _decoded(*original), _decoded(*copy)
    is_whole = sum(other_lengths) + max(lengths, default=0) >= sum(lengths)  # the end may be cut
    return is_whole and (not lengths or form == other_form)


def _lasts_as_long(packets: Sequence[Packet[Any]], found: Sequence[Packet[Any]]) -> bool:
    """Whether a copy of sound takes the time that it should; its ends may be cut.

    The muxer of QuickTime counts samples of less than a byte, as of G.722, by the packet.
    """
    begins, copied = _begins(packets), _begins(found)
    if not begins or not copied:
        return True  # the source tells no times
    longest = max((after - before for before, after in pairwise(begins)), default=Fraction(0))
    end = copied[-1] + (found[-1].duration or 0) * (found[-1].time_base or 0)
    return end - copied[0] >= begins[-1] - begins[0] - longest - _ROUNDING


def _begins(packets: Iterable[Packet[Any]]) -> list[Fraction]:
    """Times of display in order, in seconds."""
    times = (
        packet.pts * packet.time_base
        for packet in packets
        if packet.pts is not None and packet.time_base is not None
    )
    return sorted(times)


def _decoded(stream: AudioStream, packets: Iterable[Packet[Any]]) -> tuple[set[Any], list[int]]:
    """Rate and channels, and the samples in each frame; none for packets that do not decode."""
    forms, lengths = set(), []
    with av.open(io.BytesIO(), "w", format=_WITHOUT_CONTEXT) as holder:
        # A decoder of its own: that of the source stays as it is.
        decoder = holder.add_stream_from_template(stream, opaque=True).codec_context
        for packet in (*packets, None):
            with suppress(av.error.FFmpegError):
                for frame in decoder.decode(packet):
                    forms.add((frame.sample_rate, frame.layout.nb_channels))
                    lengths.append(frame.samples)
    return forms, lengths


def _mux(output: OutputContainer, stream: Stream, packets: Iterable[Packet[Any]]) -> int:
    """Muxes copies of ``packets``, and returns how many were taken."""
    copier, taken = PacketCopier(stream), 0
    ready = [one for packet in packets for one in copier.adopt(_duplicate(packet))]
    for packet in ready + copier.flush():
        with suppress(*BAD_DATA):  # of a source that is damaged
            output.mux_one(packet)
            taken += 1
    return taken


def _duplicate(packet: Packet[Any]) -> Packet[Any]:
    copy: Packet[Any] = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.is_keyframe = packet.is_keyframe
    if packet.time_base is not None:
        copy.time_base = packet.time_base
    return copy


def _parameters(stream: Stream) -> tuple[str | None, bytes | None]:
    """Codec tag and extradata, of streams without a codec too; no tag that is not of letters."""
    with av.open(io.BytesIO(), "w", format=_WITHOUT_CONTEXT) as holder:
        copy = holder.add_stream("pcm_s16le")
        BitStreamFilterContext("null", stream, copy)
        context = copy.codec_context
        try:
            return context.codec_tag.strip("\0") or None, context.extradata
        except UnicodeDecodeError:
            return None, context.extradata
