"""Encoding of clips as Matroska files: degraded by a real encoder, or lossless."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from vqe_fast.data.blur import blur
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.jpeg import encode_jpeg

_LOSSLESS = "ffv1"


def require_encoder(degradation: Degradation) -> None:
    """Checks that this PyAV has the encoder.

    Raises:
        ValueError: it has not.
    """
    if degradation.codec in ("none", "mjpeg"):
        return
    try:
        av.Codec(degradation.codec, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise ValueError(
            f"this PyAV has no encoder {degradation.codec}: install a wheel of it from PyPI, "
            f"or leave {degradation.name} out"
        ) from error


def encode(
    frames: Iterable[av.VideoFrame],
    degradation: Degradation | None,
    rate: Fraction,
    target: Path | BinaryIO,
    *,
    count: int | None = None,
) -> int:
    """Encodes a Matroska file of the degraded frames; the same frames give the same bytes.

    Args:
        frames: frames of one size, in display order; yuv420p of an even size unless every sample
            is kept.
        degradation: what to do to them; None keeps every sample.
        rate: frames per second of ``frames``.
        target: the file's path, or an open binary file.
        count: how many of ``frames`` to take at most; all if None, which a cascade of QPs does
            not allow.

    Returns:
        How many frames the file holds.

    Raises:
        ValueError: there is no frame, too few for the blur, a cascade without ``count``, or the
            encoder refuses.
    """
    frames = islice(frames, count)
    if degradation is not None:
        require_encoder(degradation)
        if degradation.blur is not None:
            frames = blur(frames, degradation.blur)
            rate = rate / degradation.blur
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        shortest = (
            ""
            if degradation is None or degradation.blur is None
            else (f": blur takes at least {degradation.blur}")
        )
        raise ValueError(f"there is no frame to encode{shortest}")
    stamped = _stamped(chain([first], frames), rate)
    place = os.fspath(target) if isinstance(target, Path) else target
    try:
        with av.open(place, "w", format="matroska", options={"fflags": "+bitexact"}) as container:
            if degradation is not None and degradation.codec == "mjpeg":
                return _write_jpegs(container, stamped, first, degradation.value or 0, rate)
            return _write_coded(container, stamped, first, degradation, rate, count)
    except av.error.FFmpegError as error:
        named = "lossless" if degradation is None else degradation.name
        raise ValueError(
            f"{named} could not encode {first.width}x{first.height} at {float(rate):g} fps: "
            f"{error.strerror}"
        ) from error


def _stamped(frames: Iterable[av.VideoFrame], rate: Fraction) -> Iterator[av.VideoFrame]:
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = index, 1 / rate
        frame.pict_type = PictureType.NONE
        yield frame


def _write_coded(
    container: OutputContainer,
    frames: Iterable[av.VideoFrame],
    first: av.VideoFrame,
    degradation: Degradation | None,
    rate: Fraction,
    at_most: int | None,
) -> int:
    codec = _LOSSLESS
    if degradation is not None and degradation.codec != "none":
        codec = degradation.codec
    if codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # else it writes its settings to stderr
    options = {} if degradation is None else degradation.encoder_options(at_most)
    stream = container.add_stream(codec, rate=rate, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
    context = stream.codec_context
    context.thread_count = 1  # results depend on it
    context.colorspace, context.color_range = first.colorspace, first.color_range
    count = 0
    for frame in frames:
        container.mux(stream.encode(frame))
        count += 1
    container.mux(stream.encode(None))
    return count


def _write_jpegs(
    container: OutputContainer,
    frames: Iterable[av.VideoFrame],
    first: av.VideoFrame,
    quality: int,
    rate: Fraction,
) -> int:
    stream = container.add_mux_stream("mjpeg", rate, width=first.width, height=first.height)
    count = 0
    for count, frame in enumerate(frames, start=1):
        packet = Packet(encode_jpeg(frame, quality))
        packet.stream, packet.time_base = stream, 1 / rate
        packet.pts = packet.dts = count - 1
        packet.duration, packet.is_keyframe = 1, True
        container.mux(packet)
    return count
