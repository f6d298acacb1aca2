"""Table of the video encoders: containers, presets, rate factors, private options."""

from __future__ import annotations

from dataclasses import dataclass

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
class HDRParameters:
    """Private options by which an encoder takes static HDR metadata.

    Attributes:
        option: the private option that takes settings of the encoder's library.
        display: the setting for the mastering display.
        light: the setting for the content's light level.
        decimals: whether numbers are in units of 1, not of the standards' messages.
    """

    option: str
    display: str
    light: str
    decimals: bool = False


@dataclass(frozen=True)
class Encoder:
    """An encoder's codec, containers, presets, rate factors and private options.

    Attributes:
        codec: FFmpeg's name of the codec that it writes.
        suffixes: the containers that hold its stream, by file suffix.
        presets: from fast to slow; empty if it has none.
        preset_option: the private option that takes a preset.
        default_crf: constant rate factor chosen to keep what enhancement gained; None if the
            encoder is always lossless.
        max_crf: the largest factor it takes.
        lossless: private options that make it lossless.
        options: private options that it always gets.
        hdr: how it takes static HDR metadata; None if it loses that.
        interlaced: whether it codes fields.
    """

    codec: str
    suffixes: tuple[str, ...]
    presets: tuple[str, ...] = ()
    preset_option: str = "preset"
    default_crf: int | None = None
    max_crf: int = 0
    lossless: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    hdr: HDRParameters | None = None
    interlaced: bool = False


ENCODERS = {
    "libx264": Encoder(
        "h264",
        (".mp4", ".mov", ".mkv"),
        _X26X_PRESETS,
        default_crf=18,
        max_crf=51,
        lossless=(("qp", "0"),),
        hdr=HDRParameters("x264-params", "mastering-display", "cll"),
        interlaced=True,
    ),
    "libx265": Encoder(
        "hevc",
        (".mp4", ".mov", ".mkv"),
        _X26X_PRESETS,
        default_crf=20,
        max_crf=51,
        lossless=(("x265-params", "lossless=1"),),
        options=(("x265-params", "log-level=none"),),
        hdr=HDRParameters("x265-params", "master-display", "max-cll"),
    ),
    "libsvtav1": Encoder(
        "av1",
        (".mp4", ".mkv", ".webm"),
        tuple(str(preset) for preset in range(13, -1, -1)),
        default_crf=25,
        max_crf=63,
        lossless=(("svtav1-params", "lossless=1"),),
        hdr=HDRParameters("svtav1-params", "mastering-display", "content-light", decimals=True),
    ),
    "libvpx-vp9": Encoder(
        "vp9",
        (".webm", ".mkv", ".mp4"),
        tuple(str(speed) for speed in range(8, -1, -1)),
        preset_option="cpu-used",
        default_crf=24,
        max_crf=63,
        lossless=(("lossless", "1"),),
        options=(("row-mt", "1"),),
    ),
    "ffv1": Encoder("ffv1", (".mkv", ".mp4"), interlaced=True),
}
"""The encoders, by FFmpeg's name."""
