"""Samples of an enhanced video: a few segments, kept without loss, to encode several times."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from vqe_fast.storage.location import Location
from vqe_fast.video.frames.planes import take_over
from vqe_fast.video.media.containers import format_of
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.encoders import ENCODERS
from vqe_fast.video.media.open import open_video, pick_stream, read_packets
from vqe_fast.video.media.payload import leave_out_payload, opened_for_payload
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.video_encoder import FrameEncoder, add_video
from vqe_fast.video.segments.split import Segment

_LOSSLESS = EncoderSettings("ffv1", None, None)
_FORMAT = "nut"  # keeps any timestamps


@dataclass(frozen=True)
class StreamBytes:
    """Bytes of the packets of a file.

    Attributes:
        video: of the video stream, of each segment that was asked for.
        all_video: of the whole video stream.
        others: of all other streams.
        packets: how many there are, of all streams.
    """

    video: tuple[int, ...]
    all_video: int
    others: int
    packets: int


def count_bytes(source: Location, segments: Sequence[Segment]) -> StreamBytes:
    """Reads the packets of ``source`` once, without decoding.

    Args:
        source: the file.
        segments: of its video, in order, which may leave gaps.
    """
    edges = [edge for each in segments for edge in (each.start, each.end)]
    ends = [2**63 if edge is None else edge for edge in edges]
    if segments[0].start is None:
        ends[0] = -(2**63)
    video, others, packets = [0] * (2 * len(segments) + 1), 0, 0
    file = opened_for_payload(source)
    with open_video(file) as container:
        leave_out_payload(file, container, container.streams)
        stream = pick_stream(container, source)
        for packet in read_packets(container, file):
            packets += packet.size > 0
            if packet.stream.index != stream.index:
                others += packet.size
            else:
                video[bisect_right(ends, packet.pts or 0)] += packet.size
    return StreamBytes(tuple(video[1::2]), sum(video), others, packets)


class SampleWriter:
    """Writer of enhanced frames into a lossless file.

    Args:
        path: the file to write.
        source: where the facts of the video come from.
    """

    def __init__(self, path: Path, source: VideoReader) -> None:
        self._container = av.open(str(path), "w", format=_FORMAT)
        self._encoder = FrameEncoder(add_video(self._container, source, _LOSSLESS), _LOSSLESS.codec)

    def write(self, item: VideoFrame | Packet[Any]) -> None:
        """Keeps a frame."""
        assert isinstance(item, VideoFrame)
        self._container.mux(self._encoder.encode(item))

    def finish(self) -> None:
        """Keeps what the encoder still holds."""
        self._container.mux(self._encoder.finish())

    def close(self) -> None:
        """Ends the file."""
        self._container.close()


def encoded_size(
    sample: Path, target: Location, source: VideoReader, settings: EncoderSettings, *, is_all: bool
) -> float:
    """Bytes that a sample takes as part of a long video.

    The keyframe that a sample begins with is there because it begins: of it counts only what the
    encoder's regular keyframes amount to. Those where scenes begin count whole.

    Args:
        sample: the lossless file.
        target: its suffix chooses how the encoder is set up.
        source: where the facts of the video come from.
        settings: the encoder.
        is_all: whether the sample is the whole video.

    Raises:
        VideoError: the encoder fails.
    """
    with av.open(io.BytesIO(), "w", format=format_of(target)) as nowhere:
        encoder = FrameEncoder(add_video(nowhere, source, settings), settings.codec)
        sizes = [
            packet.size
            for frame in _frames(sample)
            for packet in (encoder.encode(frame) if frame is not None else encoder.finish())
        ]
    share = 1.0 if is_all else min(len(sizes) / ENCODERS[settings.codec].keyframes, 1)
    return sizes[0] * share + sum(sizes[1:])


def _frames(sample: Path) -> Iterator[VideoFrame | None]:
    """The frames of a sample, and None at the end."""
    with av.open(str(sample)) as container:
        for frame in container.decode(video=0):
            take_over(frame)
            yield frame
    yield None
