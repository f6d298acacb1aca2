"""Packet files: the encoded video of one segment, packet by packet, without a container.

No container in between: that would round timestamps or rewrite packets, and joined parts shall be
what one encoder would have written. A record is the five numbers of ``_HEAD``, then the packet.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from vqe_fast.storage.location import Location
from vqe_fast.video.errors import VideoError
from vqe_fast.video.media.containers import format_of
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.video_encoder import FrameEncoder, add_video, parameter_sets

_HEAD = struct.Struct("<qqqBI")
"""Timestamps of display and decoding, duration, whether it is a keyframe, and bytes."""


@dataclass(frozen=True)
class PartFacts:
    """Properties of a finished packet file: frames, delay, checksum, headers.

    Attributes:
        frames: how many it holds.
        delay: frames that decoding is behind display: how many are decoded before the first time.
        sha256: of the file.
        parameter_sets: sha256 of the headers that the encoder keeps apart from the packets.
    """

    frames: int
    delay: int
    sha256: str
    parameter_sets: str


class PartWriter:
    """Encoder of a segment's frames into a packet file.

    The encoder is new, so the first frame is a keyframe and none refers to another segment.

    Args:
        path: the file to write.
        target: what the part is for; its suffix chooses how the encoder is set up.
        source: where the facts of the video come from.
        settings: the encoder.

    Raises:
        VideoError: the encoder does not open, or the file cannot be written.
    """

    def __init__(
        self, path: Path, target: Location, source: VideoReader, settings: EncoderSettings
    ) -> None:
        self._path = path
        self._delay = 0
        self._first_pts: int | None = None
        # The encoder has to be one for this container, but nothing is written into it.
        self._container = av.open(io.BytesIO(), "w", format=format_of(target))
        stream = add_video(self._container, source, settings)
        self._encoder = FrameEncoder(stream, settings.codec)
        self._parameter_sets = parameter_sets(stream)
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise self._cannot(error) from error

    def write(self, frame: VideoFrame | Packet[Any]) -> None:
        """Encodes a frame.

        Raises:
            VideoError: the encoder refuses the frame, or the file cannot be written.
        """
        assert isinstance(frame, VideoFrame)
        if self._first_pts is None:
            self._first_pts = frame.pts
        self._put(self._encoder.encode(frame))

    def finish(self) -> None:
        """Writes what the encoder still holds.

        Raises:
            VideoError: as :meth:`write`, or frames are missing.
        """
        self._put(self._encoder.finish())
        self._encoder.refuse_losses()
        self._container.close()
        try:
            self._file.close()
        except OSError as error:
            raise self._cannot(error) from error

    def abandon(self) -> None:
        """Deletes the file, finished or not."""
        self._container.close()
        with suppress(OSError):  # what it could not write does not matter any more
            self._file.close()
        self._path.unlink(missing_ok=True)

    def facts(self) -> PartFacts:
        """Properties of the finished file."""
        return PartFacts(
            self._encoder.frames_encoded, self._delay, checksum(self._path), self._parameter_sets
        )

    def _put(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            pts, dts = packet.pts, packet.dts
            assert pts is not None and dts is not None and self._first_pts is not None
            self._delay += dts < self._first_pts
            head = _HEAD.pack(pts, dts, packet.duration or 0, packet.is_keyframe, packet.size)
            try:
                self._file.write(head)
                self._file.write(packet)
            except OSError as error:
                raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> VideoError:
        return VideoError(f"{self._path} cannot be written: {error.strerror}")


def read_part(path: Location, time_base: Fraction, sha256: str) -> Iterator[Packet[Any]]:
    """Yields the packets of a part in decoding order.

    Args:
        path: the file.
        time_base: seconds per tick of its timestamps.
        sha256: what it has to be.

    Raises:
        VideoError: it is another file, after its last packet.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            pts, dts, duration, is_keyframe, size = _HEAD.unpack(head)
            data = file.read(size)
            digest.update(head)
            digest.update(data)
            packet: Packet[Any] = Packet(data)
            packet.pts, packet.dts, packet.duration = pts, dts, duration
            packet.time_base, packet.is_keyframe = time_base, bool(is_keyframe)
            yield packet
    if digest.hexdigest() != sha256:
        raise VideoError(f"{path} has been changed; delete it, and go on with --resume")


def checksum(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
