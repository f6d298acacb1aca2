"""Compatibility of source, container and encoder: what would be lost is refused before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from av.video.reformatter import ColorRange

from vqe_fast.video.errors import VideoError
from vqe_fast.video.media.containers import format_of
from vqe_fast.video.media.encoder_settings import EncoderSettings, formats_of
from vqe_fast.video.media.encoders import ENCODERS, SOFTWARE, Encoder
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.showinfo import dolby_vision_profile
from vqe_fast.video.media.stream_info import VideoFacts

_USUAL_SITING = ("left", "unspecified")
_LOSES_SITING = (
    (".mp4", "libvpx-vp9"),
    (".mp4", "ffv1"),
    (".mov", "prores_ks"),
    (".mov", "dnxhd"),
)


def refuse_misfits(target: Path, source: VideoReader, settings: EncoderSettings) -> None:
    """Checks that container and encoder of ``target`` can hold the video of ``source``.

    Raises:
        VideoError: it cannot; the text says what can.
    """
    facts, codec = source.facts, settings.codec
    format_of(target)
    suffix, encoder = target.suffix.lower(), ENCODERS[codec]

    def those(can: Callable[[Encoder], bool]) -> str:
        """The encoders that can what is needed, of those that take such frames."""
        pixel_format = facts.pixel_format
        return " or ".join(
            name for name, e in SOFTWARE.items() if can(e) and pixel_format in formats_of(name)
        )

    if suffix not in encoder.suffixes:
        raise VideoError(
            f"{suffix} does not hold {codec} video; write to {' or '.join(encoder.suffixes)}, "
            f"or choose {those(lambda e: suffix in e.suffixes)}"
        )
    if facts.chroma_location not in _USUAL_SITING and _loses_siting(suffix, codec):
        raise VideoError(
            f"{codec} in {suffix} would lose the siting of the source's chroma samples "
            f"({facts.chroma_location}); write to .mkv instead"
        )
    if facts.hdr and encoder.hdr is None:
        raise VideoError(
            f"{codec} would lose the source's HDR metadata (mastering display, light level); "
            f"choose {those(lambda e: e.hdr is not None)}"
        )
    if facts.scan != "progressive" and not encoder.interlaced:
        raise VideoError(
            f"{codec} does not code interlaced video; choose {those(lambda e: e.interlaced)}"
        )
    _refuse_lost_colors(facts, settings)
    _refuse_unshowable(source)


def _refuse_lost_colors(facts: VideoFacts, settings: EncoderSettings) -> None:
    """Refuses colours that the encoder's stream would tell wrongly."""
    codec, encoder = settings.codec, ENCODERS[settings.codec]
    if facts.color.range == ColorRange.JPEG and not encoder.full_range:
        raise VideoError(
            f"{codec} does not tell that the source's samples have full range, and would be shown "
            "with too much contrast; choose another encoder, or convert the source to limited "
            "range first"
        )
    if encoder.matrices and facts.color.matrix not in encoder.matrices:
        raise VideoError(
            f"{codec} says of all video that its colour matrix is BT.709, and the source says "
            "something else or nothing; choose another encoder, such as prores_ks"
        )


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


def _loses_siting(suffix: str, codec: str) -> bool:
    """Matroska keeps the siting beside the stream; what hardware writes is not known."""
    is_unknown = ENCODERS[codec].hardware is not None and suffix != ".mkv"
    return is_unknown or (suffix, codec) in _LOSES_SITING
