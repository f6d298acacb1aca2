"""The video encoders on offer and their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import av

from vqe_fast.video.errors import VideoError

_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)


@dataclass(frozen=True)
class Encoder:
    """What one encoder takes.

    Attributes:
        suffixes: the containers that hold its stream and all of its tags, by file suffix.
        presets: from fast to slow; empty if it has none.
        default_crf: constant rate factor chosen to keep what enhancement gained; None if the
            encoder is lossless.
        max_crf: the largest factor it takes.
        options: private options that it always gets.
    """

    suffixes: tuple[str, ...]
    presets: tuple[str, ...] = ()
    default_crf: int | None = None
    max_crf: int = 0
    options: tuple[tuple[str, str], ...] = ()


ENCODERS = {
    "libx264": Encoder((".mp4", ".mov", ".mkv"), _X26X_PRESETS, 18, 51),
    "libx265": Encoder(
        (".mp4", ".mov", ".mkv"), _X26X_PRESETS, 20, 51, (("x265-params", "log-level=none"),)
    ),
    "libsvtav1": Encoder(
        (".mp4", ".mkv", ".webm"), tuple(str(preset) for preset in range(13, -1, -1)), 25, 63
    ),
    "ffv1": Encoder((".mkv", ".mp4")),
}
"""The encoders, by FFmpeg's name."""


@dataclass(frozen=True)
class EncoderSettings:
    """A choice of encoder, constant rate factor and preset; None where the encoder has none."""

    codec: str
    crf: int | None
    preset: str | None

    @classmethod
    def choose(cls, codec: str, crf: int | None, preset: str | None) -> Self:
        """Checks a user's choice and fills in the default rate factor.

        Raises:
            VideoError: an unknown encoder, or a setting that it does not take.
        """
        if codec not in ENCODERS:
            raise VideoError(
                f"there is no encoder {codec!r} here; choose one of {', '.join(ENCODERS)}"
            )
        encoder = ENCODERS[codec]
        if crf is not None and encoder.default_crf is None:
            raise VideoError(f"{codec} is lossless and takes no crf; leave it out")
        if crf is not None and not 0 <= crf <= encoder.max_crf:
            raise VideoError(f"{codec} takes a crf from 0 to {encoder.max_crf}, got {crf}")
        if preset is not None and preset not in encoder.presets:
            having = ", ".join(encoder.presets) or "none: leave it out"
            raise VideoError(f"{codec} has no preset {preset!r}; it has: {having}")
        return cls(codec, encoder.default_crf if crf is None else crf, preset)

    def options(self) -> dict[str, str]:
        """The options to open the encoder with."""
        options = dict(ENCODERS[self.codec].options)
        if self.crf is not None:
            options["crf"] = str(self.crf)
        if self.preset is not None:
            options["preset"] = self.preset
        return options

    def refuse_format(self, pixel_format: str) -> None:
        """Makes sure that the encoder takes frames of ``pixel_format`` as they are.

        Raises:
            VideoError: it does not; the text names the encoders that do.
        """
        if pixel_format not in _formats(self.codec):
            able = [codec for codec in ENCODERS if pixel_format in _formats(codec)]
            raise VideoError(
                f"{self.codec} does not take the source's pixel format {pixel_format}; "
                f"choose one of {', '.join(able)}"
            )


def _formats(codec: str) -> list[str]:
    return [entry.name for entry in av.Codec(codec, "w").video_formats or ()]
