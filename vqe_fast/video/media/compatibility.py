"""Compatibility of source, container and encoder: what would be lost is refused before any work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vqe_fast.video.errors import VideoError
from vqe_fast.video.media.containers import format_of
from vqe_fast.video.media.encoder_settings import EncoderSettings
from vqe_fast.video.media.encoders import ENCODERS
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.showinfo import dolby_vision_profile

_USUAL_SITING = ("left", "unspecified")
_LOSES_SITING = ((".mp4", "libvpx-vp9"), (".mp4", "ffv1"))


def refuse_misfits(target: Path, source: VideoReader, settings: EncoderSettings) -> None:
    """Checks that container and encoder of ``target`` can hold the video of ``source``.

    Raises:
        VideoError: it cannot; the text says what can.
    """
    facts, codec = source.facts, settings.codec
    format_of(target)
    suffix, encoder = target.suffix.lower(), ENCODERS[codec]
    if suffix not in encoder.suffixes:
        raise VideoError(
            f"{suffix} does not hold {codec} video; write to {' or '.join(encoder.suffixes)}, "
            f"or choose {_those(name for name, e in ENCODERS.items() if suffix in e.suffixes)}"
        )
    if facts.sample_aspect_ratio not in (None, 1) and _loses_aspect(suffix, codec):
        raise VideoError(
            f"{codec} in {suffix} would lose the source's pixel aspect ratio "
            f"{facts.sample_aspect_ratio}; write to .mp4 instead"
        )
    if facts.chroma_location not in _USUAL_SITING and (suffix, codec) in _LOSES_SITING:
        raise VideoError(
            f"{codec} in {suffix} would lose the siting of the source's chroma samples "
            f"({facts.chroma_location}); write to .mkv instead"
        )
    if facts.hdr and encoder.hdr is None:
        raise VideoError(
            f"{codec} would lose the source's HDR metadata (mastering display, light level); "
            f"choose {_those(name for name, e in ENCODERS.items() if e.hdr is not None)}"
        )
    if facts.scan != "progressive" and not encoder.interlaced:
        raise VideoError(
            f"{codec} does not code interlaced video; "
            f"choose {_those(name for name, e in ENCODERS.items() if e.interlaced)}"
        )
    _refuse_unshowable(source)


def _refuse_unshowable(source: VideoReader) -> None:
    """Refuses video whose decoded frames are not what its players show."""
    profile = dolby_vision_profile(source.container)
    if profile is not None and profile[1] == 0:
        raise VideoError(
            f"{source.path} is Dolby Vision of profile {profile[0]}, whose colours are wrong "
            "without its metadata, and no encoder here writes that; convert it to HDR10 first"
        )
    tags = {name.lower(): value for name, value in source.video_stream.metadata.items()}
    if tags.get("alpha_mode") == "1":
        raise VideoError(
            f"{source.path} has transparency in a layer of its own, which would be lost; "
            "convert it to a codec that has it in the picture first"
        )


def _loses_aspect(suffix: str, codec: str) -> bool:
    """Matroska keeps the ratio in the stream's own header only; these codecs have none there."""
    return suffix in {".mkv", ".webm"} and codec in {"libsvtav1", "libvpx-vp9", "ffv1"}


def _those(names: Iterable[str]) -> str:
    return " or ".join(names)
