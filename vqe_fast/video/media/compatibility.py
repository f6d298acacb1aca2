"""Compatibility of source, container and encoder: what would be lost is refused before any work."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from vqe_fast.storage.location import Location
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.frames.pixel_formats import has_alpha
from vqe_fast.video.media.containers import FORMATS, format_of, streams_to_copy
from vqe_fast.video.media.decoder import WITH_ALPHA, has_layer_of_alpha
from vqe_fast.video.media.encoder_settings import EncoderSettings, formats_of
from vqe_fast.video.media.encoders import ENCODERS, SOFTWARE
from vqe_fast.video.media.output_name import in_each_container
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.showinfo import dolby_vision_profile
from vqe_fast.video.media.stream_info import VideoFacts
from vqe_fast.video.media.trial import lost_tags

_MATROSKA = {".mkv", ".webm"}


def refuse_misfits(target: Location, source: VideoReader, settings: EncoderSettings) -> None:
    """Checks that container and encoder of ``target`` can hold the video of ``source``.

    Raises:
        VideoError: it cannot; the text says what can.
    """
    format_of(target)
    _refuse_unshowable(source)
    suffix = target.suffix.lower()
    problem = _misfit(suffix, source.facts, settings)
    if problem is not None:
        never = suffix not in ENCODERS[settings.codec].suffixes  # whatever the source is
        kind = VideoError if never else SourceError
        raise kind(f"{problem}; {_way_out(suffix, source, settings)}")


def fits(suffix: str, facts: VideoFacts, settings: EncoderSettings) -> bool:
    """Whether a container, by its suffix, and an encoder keep all of a video."""
    takes = facts.pixel_format in formats_of(settings.codec)
    return takes and _misfit(suffix, facts, settings) is None


def fitting_target(target: Location, source: VideoReader, settings: EncoderSettings) -> Location:
    """``target``, with another suffix where its own container cannot hold all of ``source``.

    It stays as it is where none can, to be refused with the reason.

    Raises:
        VideoError: its suffix is that of no container on offer.
    """
    format_of(target)
    for each in in_each_container(target):
        suffix = each.suffix.lower()
        if fits(suffix, source.facts, settings) and _carries(suffix, source):
            return each
    return target


def _misfit(suffix: str, facts: VideoFacts, settings: EncoderSettings) -> str | None:
    """Why container and encoder do not hold the video, the encoder taking its frames; or None."""
    codec, encoder = settings.codec, ENCODERS[settings.codec]
    if suffix not in encoder.suffixes:
        return f"{suffix} does not hold {codec} video"
    if facts.hdr and encoder.hdr is None:
        return f"{codec} would lose the source's HDR metadata (mastering display, light level)"
    if facts.scan != "progressive" and not encoder.interlaced:
        return f"{codec} does not code interlaced video"
    lost = lost_tags(suffix, settings, facts)
    if lost is None:
        if encoder.hardware is not None:
            return None  # whose it is, and that it is not here, is said where it is opened
        return f"{codec} does not open for {facts.width}x{facts.height} {facts.pixel_format}"
    if encoder.alpha_beside and has_alpha(facts.pixel_format) and suffix not in _MATROSKA:
        lost = (*lost, "transparency")
    if any(facts.cropping) and suffix not in _MATROSKA:
        lost = (*lost, "cropping")
    if lost:
        return f"{codec} in {suffix} would lose the source's {' and '.join(lost)}"
    return None


def _way_out(suffix: str, source: VideoReader, settings: EncoderSettings) -> str:
    """What would be accepted: another container, another encoder, or else both."""

    @cache
    def carries(each: str) -> bool:
        return _carries(each, source)

    def is_accepted(each: str, codec: str) -> bool:
        other = settings if codec == settings.codec else EncoderSettings.usual(codec)
        return fits(each, source.facts, other) and carries(each)

    suffixes = [
        each for each in ENCODERS[settings.codec].suffixes if is_accepted(each, settings.codec)
    ]
    codecs = [name for name in SOFTWARE if is_accepted(suffix, name)]
    ways = [f"write to {' or '.join(suffixes)}"] if suffixes else []
    ways += [f"choose {' or '.join(codecs)}"] if codecs else []
    if ways:
        return ", or ".join(ways)
    for each in FORMATS:
        codecs = [name for name in SOFTWARE if is_accepted(each, name)]
        if codecs:
            return f"write to {each} and choose {' or '.join(codecs)}"
    return "nothing on offer keeps it: convert the source first"


def _carries(suffix: str, source: VideoReader) -> bool:
    """Whether a container, by its suffix, takes the streams beside the video."""
    try:
        streams_to_copy(source, Path(f"output{suffix}"), lambda _: True)
    except VideoError:
        return False
    return True


def _refuse_unshowable(source: VideoReader) -> None:
    """Refuses video whose decoded frames are not what its players show."""
    profile = dolby_vision_profile(source.container)
    if profile is not None and profile[1] == 0:
        raise SourceError(
            f"{source.path} is Dolby Vision of profile {profile[0]}, whose colours are wrong "
            "without its metadata, and no encoder here writes that; convert it to HDR10 first"
        )
    if has_layer_of_alpha(source.video_stream) and source.facts.codec not in WITH_ALPHA:
        raise SourceError(
            f"{source.path} has transparency in a layer of its own, which would be lost; "
            "convert it to a codec that has it in the picture first"
        )
