"""Encoder settings: codec, constant rate factor, preset, and the options made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Self

import av
from av.codec.codec import find_best_pix_fmt_of_list
from av.video.codeccontext import VideoCodecContext

from vqe_fast._suggest import did_you_mean
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.frames.pixel_formats import (
    bit_depth,
    has_alpha,
    has_luma_plane,
    planar_twin,
    without_implied_range,
)
from vqe_fast.video.media.encoders import ENCODERS, SOFTWARE
from vqe_fast.video.media.hdr import StaticHDR
from vqe_fast.video.options import EncodeOptions

SOURCE = "source"
"""The name that stands for the encoder of the source's own codec, and for the source's size."""


@dataclass(frozen=True)
class EncoderSettings:
    """Encoder, constant rate factor and preset or profile; None where the encoder has none.

    ``threads`` is how many it may use; 0 for as many as it likes.
    """

    codec: str
    crf: float | None
    preset: str | None
    threads: int = 0

    @classmethod
    def choose(cls, options: EncodeOptions, source_codec: str) -> Self:
        """Checks a user's choice and fills in the default rate factor.

        Args:
            options: a codec of :data:`ENCODERS`, or ``source`` for that of ``source_codec``, and
                settings that it takes.
            source_codec: FFmpeg's name of the codec of the source.

        Raises:
            VideoError: an unknown encoder, or a setting that it does not take.
        """
        codec, crf, preset = options.codec, options.crf, options.preset
        has_size = options.target_size is not None
        if codec == SOURCE:
            codec = _encoder_of(source_codec)
        if codec not in ENCODERS:
            raise VideoError(
                f"there is no encoder {codec!r} here; {_nearest_encoder(codec)}"
                f"choose one of {', '.join(ENCODERS)} or {SOURCE}"
            )
        encoder = ENCODERS[codec]
        if not _is_here(codec):
            raise VideoError(f"this FFmpeg has no encoder {codec}; choose libx264 or another")
        if has_size and encoder.default_crf is None:
            raise VideoError(
                f"{codec} has no rate factor to reach a size with; leave the target size out"
            )
        if has_size and crf is not None:
            raise VideoError("a crf and a target size exclude each other; give one of them")
        if crf is not None and encoder.profiles:
            raise VideoError(
                f"{codec} takes no crf: its profiles decide quality; leave the crf out, or give a "
                f"preset of {', '.join(encoder.profiles)}"
            )
        if crf is not None and encoder.default_crf is None:
            raise VideoError(f"{codec} is lossless and takes no crf; leave it out")
        if crf is not None and not encoder.min_crf <= crf <= encoder.max_crf:
            raise VideoError(
                f"{codec} takes a crf from {encoder.min_crf} to {encoder.max_crf}, got {crf}"
            )
        presets = encoder.presets or tuple(encoder.profiles)
        if preset is not None and preset not in presets:
            having = ", ".join(presets) or "none: leave it out"
            raise VideoError(
                f"{codec} has no preset {preset!r}; {did_you_mean(preset, presets)}it has: {having}"
            )
        return cls(codec, encoder.default_crf if crf is None else crf, preset)

    def preset_for(self, pixel_format: str) -> str | None:
        """The preset to open the encoder with for such frames; None for its own choice."""
        return self.preset or ENCODERS[self.codec].profile_for(pixel_format)

    def in_words(self, pixel_format: str) -> str:
        """Encoder, rate factor and preset for such frames, as ``libx264 crf 18 preset slow``."""
        words = [self.codec]
        for name, value in (("crf", self.crf), ("preset", self.preset_for(pixel_format))):
            if value is not None:
                words += [name, str(value)]
        return " ".join(words)

    def options(self, pixel_format: str, hdr: StaticHDR) -> dict[str, str]:
        """The options to open the encoder with for such frames, HDR metadata among them."""
        encoder = ENCODERS[self.codec]
        options = list(encoder.options)
        if self.crf == 0:
            options += encoder.lossless
        elif self.crf is not None:
            options += [
                (name, value.format(f"{self.crf:g}")) for name, value in encoder.crf_options
            ]
        preset = self.preset_for(pixel_format)
        if preset is not None:
            options.append((encoder.preset_option, preset))
        if encoder.hdr is not None:
            display, light = hdr.in_decimals() if encoder.hdr.decimals else hdr.in_units()
            if display is not None:
                options.append((encoder.hdr.option, f"{encoder.hdr.display}={display}"))
            if light is not None:
                options.append((encoder.hdr.option, f"{encoder.hdr.light}={light}"))
        return _joined(options)

    @classmethod
    def usual(cls, codec: str) -> Self:
        """The settings of an encoder of which nothing is asked for."""
        return cls(codec, ENCODERS[codec].default_crf, None)

    def pixel_format(
        self, source: str, wanted: str | None, accepts: Callable[[str, str], bool]
    ) -> str:
        """The pixel format to encode, with a plane of luma.

        Args:
            source: that of the source.
            wanted: that asked for; None for the samples of the source as they are.
            accepts: whether another encoder, for frames of a pixel format, would be accepted.

        Raises:
            VideoError: there is no such format, or the encoder does not take it; the text names
                those that do.
        """
        if wanted is not None:
            _refuse_unsuitable(wanted)
            choices = [wanted]
        else:
            twin = planar_twin(source)
            if twin is None:
                raise SourceError(
                    f"the source's pixel format {source} has no plane of luma; "
                    f"give a pix_fmt to convert it to, such as {self._suggestion(source)}"
                )
            choices = [twin, without_implied_range(twin)]
        refusal = SourceError if wanted is None else VideoError
        for choice in choices:
            if choice in formats_of(self.codec):
                self._refuse_other_profile(choice, refusal)
                return choice
        able = [
            codec
            for codec in SOFTWARE
            if any(choice in formats_of(codec) and accepts(codec, choice) for choice in choices)
        ]
        raise refusal(
            f"{self.codec} does not take {bit_depth(choices[0])}-bit {choices[0]}; "
            + (f"choose {' or '.join(able)}, or " if able else "give ")
            + f"another pix_fmt, such as {_nearest(choices[0], formats_of(self.codec))}"
        )

    def _suggestion(self, source: str) -> str:
        nearest = _nearest(source, formats_of(self.codec))
        if has_alpha(source) and has_alpha(nearest):
            return f"{nearest}, which keeps transparency"
        return "yuv420p or yuv444p" if "yuv444p" in formats_of(self.codec) else nearest

    def _refuse_other_profile(self, pixel_format: str, refusal: type[VideoError]) -> None:
        """Refuses a profile that codes other samples: some encoders would not say a word."""
        profiles = ENCODERS[self.codec].profiles
        asked = profiles.get(self.preset or "")
        if asked is None or pixel_format in asked.pixel_formats:
            return
        able = [name for name, each in profiles.items() if pixel_format in each.pixel_formats]
        raise refusal(
            f"the preset {self.preset} of {self.codec} does not code {pixel_format}; choose "
            f"{' or '.join(able)}, or the pix_fmt "
            f"{_nearest(pixel_format, asked.pixel_formats)}"
        )


def formats_of(codec: str) -> tuple[str, ...]:
    """The pixel formats with a plane of luma that the encoder ``codec`` takes, if it is here."""
    if not _is_here(codec):
        return ()
    if ENCODERS[codec].layouts:
        return tuple(ENCODERS[codec].layouts)
    formats = tuple(entry.name for entry in av.Codec(codec, "w").video_formats or ())
    return tuple(
        name
        for name in formats
        if has_luma_plane(name) and (not has_alpha(name) or _opens_for(codec, name))
    )


@cache
def _opens_for(codec: str, pixel_format: str) -> bool:
    """Tries it: libx265 says that it takes transparency even where it is built without."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 256, 256, pixel_format
    context.time_base = Fraction(1, 25)
    context.options = dict(ENCODERS[codec].options)
    try:
        context.open()
    except av.error.FFmpegError:
        return False
    return True


def _is_here(codec: str) -> bool:
    try:
        av.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _nearest(pixel_format: str, formats: Sequence[str]) -> str:
    """The one of ``formats`` that keeps most of ``pixel_format``."""
    best, _ = find_best_pix_fmt_of_list(formats, pixel_format, has_alpha(pixel_format))
    assert best is not None  # every encoder takes some
    return best.name


def _nearest_encoder(name: str) -> str:
    """What may have been meant: an encoder spelled nearly so, or the first of a codec."""
    by_codec = {ENCODERS[each].codec: each for each in reversed(ENCODERS)}
    also = by_codec | {"h265": by_codec["hevc"], "dnxhr": "dnxhd"}
    return did_you_mean(name, ENCODERS, also)


def _encoder_of(codec: str) -> str:
    for name, encoder in SOFTWARE.items():
        if encoder.codec == codec:
            return name
    raise SourceError(
        f"there is no encoder here for {codec}, the source's codec; "
        f"choose one of {', '.join(SOFTWARE)}"
    )


def _joined(options: Iterable[tuple[str, str]]) -> dict[str, str]:
    """As a dictionary; what is given for one option more than once is a list, parted by colons."""
    joined: dict[str, str] = {}
    for name, value in options:
        joined[name] = f"{joined[name]}:{value}" if name in joined else value
    return joined


def _refuse_unsuitable(pixel_format: str) -> None:
    try:
        suitable = has_luma_plane(pixel_format)
    except ValueError as error:
        raise VideoError(
            f"there is no pixel format {pixel_format!r}; give one such as yuv420p or yuv420p10le"
        ) from error
    plain = without_implied_range(pixel_format)
    if plain != pixel_format:
        raise VideoError(f"give the pix_fmt {plain} for {pixel_format}: the range stays as it is")
    if not suitable:
        raise VideoError(
            f"the pixel format {pixel_format} has no plane of luma; give one such as yuv444p"
        )
