"""Opens a video file and finds the stream to work on."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vqe_fast.storage.block_cache import BLOCK
from vqe_fast.storage.location import Location, RemotePath
from vqe_fast.storage.reader import RemoteReader
from vqe_fast.video.errors import MissingError, SourceError
from vqe_fast.video.media.payload import leave_out_payload, opened_for_payload
from vqe_fast.video.media.timeline import Timeline, timeline_of

DECODER_OPTIONS = {"max_pixels": str(16384 * 16384)}
"""What every decoder is opened with: a damaged header could ask for gigabytes."""

_SAMPLE_PACKETS, _SAMPLE_BYTES = 4, 64 << 20

VideoInput: TypeAlias = "Location | BinaryIO | RemoteReader"
"""What can be opened: the path of a file, here or remote, or a file opened for reading bytes."""

_BUFFER, _REMOTE_BUFFER = 32 << 10, BLOCK
"""Bytes that FFmpeg gets of a file object at once."""


def open_video(source: VideoInput, hwaccel: HWAccel | None = None) -> InputContainer:
    """Opens ``source`` for reading.

    Args:
        source: the video.
        hwaccel: a device that is there, to decode on; None for none.

    Raises:
        SourceError: missing, or not a video.
        StorageError: remote, and cannot be read.
    """
    target: str | BinaryIO | RemoteReader
    if isinstance(source, Path):
        _refuse_unopenable(source)
        target = f"file:{source}"
    else:
        target = source.open() if isinstance(source, RemotePath) else source
    if isinstance(target, RemoteReader):
        target.most = _REMOTE_BUFFER
    try:
        return av.open(
            target,
            "r",
            buffer_size=_REMOTE_BUFFER if isinstance(target, RemoteReader) else _BUFFER,
            options=DECODER_OPTIONS,
            metadata_errors="surrogateescape",
            hwaccel=hwaccel,
        )
    except av.error.InvalidDataError as error:
        raise SourceError(
            f"{name_of(source)} is not a video, or its beginning is damaged; give a video file"
        ) from error
    except av.error.FFmpegError as error:
        raise SourceError(f"{name_of(source)} cannot be opened: {error.strerror}") from error


def _refuse_unopenable(path: Path) -> None:
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"there is no file {path}; check the name") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(facts.st_mode):
        raise SourceError(f"{path} is not a file; give the path of one video file")
    if facts.st_size == 0:
        raise SourceError(f"{path} is empty; get a complete copy of it")


def name_of(source: VideoInput) -> str:
    """The name of ``source`` in messages."""
    if isinstance(source, (Path, RemotePath)):
        return str(source)
    return str(getattr(source, "name", "the video"))


def pick_stream(container: InputContainer, source: VideoInput) -> VideoStream:
    """The video stream that players show; never an attached picture.

    Raises:
        SourceError: there is none, or no decoder for it.
    """
    streams = [s for s in container.streams.video if not is_picture(s)]
    if not streams:
        having = ", ".join(sorted({s.type for s in container.streams})) or "no stream"
        raise SourceError(
            f"{name_of(source)} has no video stream (it has: {having}); give a file with video"
        )
    best = container.streams.best("video")
    stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
    if stream.codec_context is None:
        raise SourceError(
            f"{name_of(source)} uses a video codec that this FFmpeg cannot decode; "
            "convert it to another codec first"
        )
    return stream


def is_picture(stream: Stream) -> bool:
    """Whether ``stream`` is one still picture attached to the file, such as cover art."""
    return stream.type == "video" and Disposition.attached_pic in stream.disposition


def read_packets(
    container: InputContainer,
    source: VideoInput,
    *streams: Stream,
    timeline: Timeline | None = None,
) -> Generator[Packet[Any], None, bool]:
    """Yields the packets of ``streams``, by default all, in the order of the file.

    Args:
        container: the opened file.
        source: its name in messages.
        streams: the streams to read.
        timeline: keeps timestamps continuous that restart; None for a new one. It sees all
            streams, so those read do not decide what their times are.

    Returns:
        Whether damage ended the reading early.

    Raises:
        SourceError: the file cannot be read on.
        StorageError: a remote file cannot, or has changed.
    """
    try:
        yield from _placed(container, streams, timeline or timeline_of(container))
    except (av.error.InvalidDataError, av.error.MemoryError):  # of a size that is nonsense
        return True
    except av.error.FFmpegError as error:
        raise SourceError(f"{name_of(source)} cannot be read on: {error.strerror}") from error
    refuse_changed(source)
    return False


def refuse_changed(source: VideoInput) -> None:
    """Makes sure that a remote file is still the one that it was when reading began.

    Raises:
        StorageError: it is not.
    """
    if isinstance(source, (RemotePath, RemoteReader)):
        source.verify()


def _placed(
    container: InputContainer, streams: Collection[Stream], timeline: Timeline
) -> Generator[Packet[Any], None, None]:
    chosen = {stream.index for stream in streams or container.streams}
    for packet in container.demux():
        timeline.place(packet)
        if packet.stream.index in chosen:
            yield packet


def first_packets(source: VideoInput, indices: Collection[int]) -> dict[int, list[Packet[Any]]]:
    """The first packets shown of streams, up to four of each; the file is opened just for them.

    Reading ends after 64 MiB: a stream that begins late, such as subtitles, may have none.

    Args:
        source: the file.
        indices: of the streams.

    Raises:
        SourceError: the file cannot be opened or read on.
    """
    found: dict[int, list[Packet[Any]]] = {index: [] for index in indices}
    waited_for, budget = set(found), _SAMPLE_BYTES
    file = opened_for_payload(source) if isinstance(source, (Path, RemotePath)) else source
    with open_video(file) as container:
        leave_out_payload(file, container, [s for s in container.streams if s.index not in found])
        for packet in read_packets(container, file) if found else ():
            packets = found.get(packet.stream.index, [])
            is_shown = packet.size > 0 and not packet.is_discard
            if is_shown and packet.stream.index in waited_for:
                packets.append(packet)
                if len(packets) == _SAMPLE_PACKETS:
                    waited_for.remove(packet.stream.index)
            budget -= packet.size
            if not waited_for or budget < 0:
                break
    return found


def nothing_decodes(source: VideoInput) -> SourceError:
    """The error for a video without a single frame to show."""
    return SourceError(
        f"no frame of {name_of(source)} could be decoded: it is empty, damaged, or says that its "
        "frames have more than 16384x16384 pixels; get a complete copy of it"
    )
