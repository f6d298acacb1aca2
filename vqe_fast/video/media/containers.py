"""Output containers: muxers by file suffix, and the streams to remux."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from vqe_fast.video.errors import VideoError
from vqe_fast.video.media.open import first_packets, is_picture
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.remux import PacketCopier

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""File suffix → FFmpeg's name of the muxer."""

_PICTURE_TYPES = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp"}

_ABOUT_THE_OLD_FILE = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "vendor_id",
    "duration",
}


def format_of(target: Path) -> str:
    """FFmpeg's name of the muxer for the suffix of ``target``.

    Raises:
        VideoError: another suffix than those of :data:`FORMATS`.
    """
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise VideoError(
            f"{target} does not say which container to write: "
            f"end its name in one of {', '.join(FORMATS)}"
        )
    return FORMATS[suffix]


def muxer_options(format_name: str) -> dict[str, str]:
    """Options of a muxer, by FFmpeg's name, by which the same packets give the same bytes.

    Matroska's draws the identities of file, tracks and chapters at random else; the others write
    nothing that is not of their input.
    """
    is_matroska = format_name in (FORMATS[".mkv"], FORMATS[".webm"])
    return {"fflags": "+bitexact"} if is_matroska else {}


def streams_to_copy(source: VideoReader, target: Path) -> list[Stream]:
    """The streams of ``source`` to remux beside the video.

    Raises:
        VideoError: the container of ``target`` cannot carry one of them.
    """
    streams = [
        stream
        for stream in source.container.streams
        if stream.index != source.video_stream.index and not _is_rebuilt(stream)
    ]
    packets = first_packets(source.path, [stream.index for stream in streams])
    for stream in streams:
        sample = source.picture(stream), packets[stream.index]
        if not _carries(format_of(target), stream, *sample):
            able = [s for s, name in FORMATS.items() if _carries(name, stream, *sample)]
            raise VideoError(
                f"{target.suffix} cannot carry stream {stream.index} of {source.path} "
                f"({_describe(stream)}); {_way_out(able)}"
            )
    return streams


def add_copy(output: OutputContainer, stream: Stream, picture: bytes | None) -> Stream | None:
    """Adds a stream to ``output`` for the packets of ``stream``.

    Args:
        output: the container to be written.
        stream: the stream to copy, with its metadata and dispositions.
        picture: the attached picture that ``stream`` consists of, if it does.

    Returns:
        The new stream; None if it is written with the header and takes no packets.

    Raises:
        ValueError: the container does not take the codec.
    """
    if picture is not None and output.format.name == FORMATS[".mkv"]:
        mime = _PICTURE_TYPES.get(stream.codec_context.codec.canonical_name, "")
        name = stream.metadata.get("filename", f"cover.{mime.rpartition('/')[2]}")
        output.add_attachment(name, stream.metadata.get("mimetype", mime), picture)
        return None
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(content_tags(stream.metadata))
    copy.disposition = stream.disposition
    return None if stream.type == "attachment" else copy


def content_tags(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata tags of the content; without those of the file it was in."""
    return {k: v for k, v in metadata.items() if k.lower() not in _ABOUT_THE_OLD_FILE}


def _is_rebuilt(stream: Stream) -> bool:
    """Whether ``stream`` holds what muxers write themselves: chapter titles, or the timecode.

    Demuxers discard the one, since it is among the chapters; the other is a tag of the video.
    """
    is_timecode = stream.type == "data" and "timecode" in stream.metadata
    return stream.discard is Discard.all or is_timecode


def _carries(
    format_name: str, stream: Stream, picture: bytes | None, packets: Sequence[Packet[Any]]
) -> bool:
    """Tries it: some muxers refuse a stream at its header, others at its packets or at the end."""
    output = av.open(io.BytesIO(), "w", format=format_name)
    try:
        copy = add_copy(output, stream, picture)
        output.start_encoding()
        takes = copy is None or not packets or _takes_any(output, PacketCopier(copy), packets)
        output.close()
    except (ValueError, av.error.FFmpegError):
        return False
    return takes


def _takes_any(
    output: OutputContainer, copier: PacketCopier, packets: Sequence[Packet[Any]]
) -> bool:
    """Whether one of ``packets`` can be muxed: the others may be damaged."""
    taken = False
    for packet in [copy for each in packets for copy in copier.adopt(each)] + copier.flush():
        with suppress(av.error.FFmpegError):
            output.mux_one(packet)
            taken = True
    return taken


def _describe(stream: Stream) -> str:
    codec = getattr(stream, "name", None)  # sound of an unknown codec has no such attribute
    kind = "picture" if is_picture(stream) else stream.type
    return f"{kind}, {codec or 'unknown codec'}"


def _way_out(suffixes: Sequence[str]) -> str:
    if suffixes:
        return f"write to {' or '.join(suffixes)} instead"
    return "no container on offer can: remove that stream first"
