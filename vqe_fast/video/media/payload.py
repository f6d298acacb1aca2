"""Payload that is not fetched: of a remote .mp4 or .mov, whose index says where each packet is."""

from __future__ import annotations

from collections.abc import Iterable

from av.container import InputContainer
from av.stream import Stream

from vqe_fast.storage.location import Location, RemotePath
from vqe_fast.storage.reader import RemoteReader

_INDEXED = "mov,mp4"
"""The beginning of FFmpeg's name of the demuxer whose index lists all packets."""

_TAKEN_WHOLE = {
    *("h264", "hevc", "av1", "prores", "mpeg4", "mjpeg", "dnxhd", "png", "ffv1"),
    *("aac", "opus", "alac", "flac"),
}
"""Codecs whose packets FFmpeg takes from the index as they are, whatever is in them; it looks for
the packets of others in their bytes."""

_OTHER_KINDS = {"subtitle", "data"}


def opened_for_payload(source: Location) -> Location | RemoteReader:
    """What to open so that payload can be left out later: ``source``, or a file object of it.

    Raises:
        StorageError: it cannot be opened.
    """
    return source.open() if isinstance(source, RemotePath) else source


def leave_out_payload(file: object, container: InputContainer, streams: Iterable[Stream]) -> None:
    """Lets the payload of streams read as zeros, for those who only want to know of their packets.

    Packets are as many as before, with the same times, sizes and flags. Nothing is left out where
    that would not be so, nor of a file of this machine.

    Args:
        file: as :func:`opened_for_payload` gave it.
        container: opened from ``file``; what it has read before stays as it is.
        streams: of ``container``.
    """
    if not isinstance(file, RemoteReader) or not container.format.name.startswith(_INDEXED):
        return
    file.leave_out(
        (entry.pos, entry.pos + entry.size)
        for stream in streams
        if _is_taken_whole(stream)
        for entry in stream.index_entries
    )


def _is_taken_whole(stream: Stream) -> bool:
    if stream.codec_context is None:
        return stream.type in _OTHER_KINDS
    name = stream.codec_context.codec.canonical_name
    return stream.type in _OTHER_KINDS or name in _TAKEN_WHOLE or name.startswith("pcm_")
