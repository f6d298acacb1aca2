"""Trial encoding: which tags of a video are lost by an encoder and a container, by reading them."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import lru_cache

import av
from av.container import OutputContainer
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from vqe_fast.video.errors import VideoError
from vqe_fast.video.frames.chroma import Siting
from vqe_fast.video.media.containers import FORMATS
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.encoders import ENCODERS
from vqe_fast.video.media.hdr import StaticHDR
from vqe_fast.video.media.muxer_options import muxer_options
from vqe_fast.video.media.showinfo import look_at
from vqe_fast.video.media.stream_info import ColorTags, VideoFacts, color_tags
from vqe_fast.video.media.video_encoder import FrameEncoder, open_encoder

_SIZE = 256  # at least: the largest minimum of an encoder; a multiple of what samples share
_UNSPECIFIED = 2
_RESERVED = (0, 3)
_NOTHING = ColorTags(_UNSPECIFIED, _UNSPECIFIED, _UNSPECIFIED, ColorRange.UNSPECIFIED)

Tags = tuple[ColorTags, str]
"""Colour tags, and FFmpeg's name of the siting of chroma samples."""


def lost_tags(suffix: str, settings: EncoderSettings, facts: VideoFacts) -> tuple[str, ...] | None:
    """The tags of a video that a reader would not find in the output, in words.

    One plain frame, small and as odd as those of the video, is encoded, muxed in memory, and read.
    What means the same is not lost: limited range and none, siting on the left and none.

    Args:
        suffix: of the file to write, one of the encoder's.
        settings: the encoder, which takes ``facts.pixel_format``.
        facts: of the video.

    Returns:
        None if the encoder does not open for such frames whatever their tags.
    """
    small = replace(
        facts,
        width=_SIZE + facts.width % 4,
        height=_SIZE + facts.height % 4,
        sample_aspect_ratio=None,
        hdr=StaticHDR(None, None),
        scan="progressive",
        display_matrix=None,
        cropping=(0, 0, 0, 0),
        frame_count=1,
    )
    presets = ENCODERS[settings.codec].presets
    quick = replace(settings, preset=presets[0] if presets else settings.preset)
    return _lost(suffix, quick, small)


@lru_cache(maxsize=64)
def _lost(suffix: str, settings: EncoderSettings, facts: VideoFacts) -> tuple[str, ...] | None:
    wanted = facts.color, facts.chroma_location
    try:
        found = _read_back(suffix, settings, facts)
    except (VideoError, av.error.FFmpegError):  # encoders refuse some tags, or make nonsense
        found = _NOTHING, "unspecified"
        if not _opens(suffix, settings, replace(facts, color=_NOTHING)):
            return None
    return _differences(wanted, found, facts.pixel_format)


def _read_back(suffix: str, settings: EncoderSettings, facts: VideoFacts) -> Tags:
    file = io.BytesIO()
    with _output(file, suffix, facts) as output:
        encoder = FrameEncoder(open_encoder(output, facts, settings), settings.codec)
        output.mux(encoder.encode(_plain_frame(facts)) + encoder.finish())
    file.seek(0)
    with av.open(file, "r") as source:
        for frame in source.decode(video=0):
            return color_tags(frame), look_at(frame).chroma_location
    raise av.error.InvalidDataError(0, "no frame was written")


def _opens(suffix: str, settings: EncoderSettings, facts: VideoFacts) -> bool:
    with _output(io.BytesIO(), suffix, facts) as output:
        try:
            open_encoder(output, facts, settings)
        except VideoError:
            return False
    return True


def _output(file: io.BytesIO, suffix: str, facts: VideoFacts) -> OutputContainer:
    name = FORMATS[suffix]
    return av.open(file, "w", format=name, container_options=muxer_options(name, facts, ()))


def _plain_frame(facts: VideoFacts) -> VideoFrame:
    frame = VideoFrame(facts.width, facts.height, facts.pixel_format)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))  # dark, and any encoder's shortest work
    frame.pts, frame.time_base = 0, facts.time_base
    frame.color_primaries = facts.color.primaries
    frame.color_trc = facts.color.transfer
    frame.colorspace = facts.color.matrix
    frame.color_range = facts.color.range
    return frame


def _differences(wanted: Tags, found: Tags, pixel_format: str) -> tuple[str, ...]:
    (color, siting), (color_found, siting_found) = wanted, found
    names = {
        "primaries": "colour primaries",
        "transfer": "transfer curve",
        "matrix": "colour matrix",
    }
    lost = [
        f"{words} ({getattr(color, name)})"
        for name, words in names.items()
        if _plain(getattr(color, name)) != _plain(getattr(color_found, name))
    ]
    if (color.range == ColorRange.JPEG) != (color_found.range == ColorRange.JPEG):
        lost.append("full range" if color.range == ColorRange.JPEG else "limited range")
    if _place(siting, pixel_format) != _place(siting_found, pixel_format):
        lost.append(f"siting of chroma samples ({siting})")
    return tuple(lost)


def _plain(code: int) -> int:
    """Codes without a meaning are none."""
    return _UNSPECIFIED if code in _RESERVED else code


def _place(siting: str, pixel_format: str) -> tuple[float, float]:
    """Where chroma is, in the directions in which it has fewer samples than luma."""
    block = VideoFormat(pixel_format, 4, 4)
    place = Siting.named(siting)
    return (
        place.across if block.chroma_width() < block.width else 0,
        place.down if block.chroma_height() < block.height else 0,
    )
