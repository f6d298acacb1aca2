"""Properties of a video stream, from its header and first frame."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from vqe_fast.video.frames.pixel_formats import implies_full_range
from vqe_fast.video.media.hdr import StaticHDR, read_display, read_light
from vqe_fast.video.media.matroska_display import Display
from vqe_fast.video.media.showinfo import Scan, cropping_of, look_at
from vqe_fast.video.media.side_data import side_data

_NOMINAL_RATE = Fraction(25)
_UNSPECIFIED = 2  # primaries, transfer and matrix


@dataclass(frozen=True)
class ColorTags:
    """Colour tags: primaries, transfer, matrix and range as codes of ISO/IEC 23091-2.

    ``range`` is FFmpeg's: 0 unspecified, 1 limited ("tv"), 2 full ("pc").
    """

    primaries: int
    transfer: int
    matrix: int
    range: int

    @property
    def is_told(self) -> bool:
        """Whether one of them is specified."""
        codes = (self.primaries, self.transfer, self.matrix)
        return any(code != _UNSPECIFIED for code in codes) or self.range != ColorRange.UNSPECIFIED


@dataclass(frozen=True)
class VideoFacts:
    """Properties of a video stream that the output must share, and its estimated length.

    Attributes:
        width: samples per row of luma.
        height: rows of luma.
        codec: FFmpeg's name of the codec, such as ``h264``.
        pixel_format: FFmpeg's name of it, such as ``yuv420p``.
        sample_aspect_ratio: width of a pixel over its height; None if the stream does not say.
        frame_rate: mean frames per second; 25 where the stream does not say. Timestamps rule.
        time_base: seconds per tick of the timestamps.
        color: colour tags.
        chroma_location: FFmpeg's name of the siting of chroma samples, such as ``left``.
        hdr: static HDR metadata.
        scan: whether frames are interlaced, and which field comes first.
        display_matrix: the nine integers of a rotation or flip at display; None if there is none.
        cropping: samples at the left, right, top and bottom that the container says to hide.
        frame_count: estimate of the number of frames; None if nothing is known.
    """

    width: int
    height: int
    codec: str
    pixel_format: str
    sample_aspect_ratio: Fraction | None
    frame_rate: Fraction
    time_base: Fraction
    color: ColorTags
    chroma_location: str
    hdr: StaticHDR
    scan: Scan
    display_matrix: tuple[int, ...] | None
    cropping: tuple[int, int, int, int]
    frame_count: int | None

    @property
    def display(self) -> Display:
        """How frames are displayed beside their rotation."""
        return Display(self.sample_aspect_ratio or Fraction(1), self.cropping)


def read_facts(
    container: InputContainer, stream: VideoStream, frame: VideoFrame, pictures: int = 1
) -> VideoFacts:
    """Properties of ``stream``, whose first frame is ``frame``, made of so many of its pictures."""
    rate = rate_of(stream)
    count = _frame_count(container, stream, rate)
    look = look_at(frame)
    return VideoFacts(
        width=frame.width,
        height=frame.height,
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=frame.format.name,
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        frame_rate=(rate or _NOMINAL_RATE) / pictures,
        time_base=time_base_of(stream),
        color=color_tags(frame),
        chroma_location=look.chroma_location,
        hdr=_static_hdr(frame),
        scan=look.scan,
        display_matrix=_display_matrix(frame),
        cropping=cropping_of(container, stream.index),
        frame_count=None if count is None else -(-count // pictures),
    )


def color_tags(frame: VideoFrame) -> ColorTags:
    """Colour tags of ``frame``; full range also where the pixel format implies it."""
    full = implies_full_range(frame.format.name)
    return ColorTags(
        frame.color_primaries,
        frame.color_trc,
        frame.colorspace,
        ColorRange.JPEG if full else frame.color_range,
    )


def rate_of(stream: VideoStream) -> Fraction | None:
    """Mean frames per second of ``stream``; None if nothing is known.

    Of DV, FFmpeg counts ticks for frames in the mean, but guesses right.
    """
    return min(filter(None, (stream.average_rate, stream.guessed_rate)), default=None)


def time_base_of(stream: Stream) -> Fraction:
    """Time base of ``stream``, which was opened for reading: seconds per tick."""
    time_base = stream.time_base
    assert time_base is not None  # only streams under construction lack one
    return time_base


def _frame_count(
    container: InputContainer, stream: VideoStream, rate: Fraction | None
) -> int | None:
    if stream.frames:
        return stream.frames
    if stream.duration is not None:
        seconds = stream.duration * time_base_of(stream)
    elif container.duration is not None:
        seconds = Fraction(container.duration, av.time_base)
    else:
        return None
    return round(seconds * rate) if rate else None


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    matrix = side_data(frame).get("DISPLAYMATRIX")
    if matrix is not None:
        return struct.unpack("=9i", bytes(matrix))
    return _rotation_matrix(frame.rotation) if frame.rotation else None


def _static_hdr(frame: VideoFrame) -> StaticHDR:
    data = side_data(frame)
    display, light = data.get("MASTERING_DISPLAY_METADATA"), data.get("CONTENT_LIGHT_LEVEL")
    return StaticHDR(
        None if display is None else read_display(bytes(display)),
        None if light is None else read_light(bytes(light)),
    )


def _rotation_matrix(degrees: int) -> tuple[int, ...]:
    """Counter-clockwise; 16.16 fixed point, the last column 2.30."""
    cos = round(math.cos(math.radians(degrees)) * (1 << 16))
    sin = round(math.sin(math.radians(degrees)) * (1 << 16))
    return (cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30)
