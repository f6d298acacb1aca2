"""Table of the video encoders: containers, presets, rate factors, private options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
_BT709 = 1  # code of the matrix in ISO/IEC 23091-2


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
class Profile:
    """A profile of an editing codec, which decides quality and size where there is no rate factor.

    Attributes:
        pixel_formats: those that it codes.
        is_usual: whether these get it where no profile is asked for.
    """

    pixel_formats: tuple[str, ...]
    is_usual: bool = False


@dataclass(frozen=True)
class Encoder:
    """An encoder's codec, containers, presets, rate factors and private options.

    Attributes:
        codec: FFmpeg's name of the codec that it writes.
        suffixes: the containers that hold its stream, by file suffix.
        presets: from fast to slow; empty if it has none.
        profiles: what it has for presets if its profiles decide quality, from small to large.
        preset_option: the private option that takes a preset or profile.
        default_crf: constant rate factor chosen to keep what enhancement gained; None if the
            encoder is always lossless, or has profiles.
        max_crf: the largest factor it takes.
        lossless: private options that make it lossless.
        options: private options that it always gets.
        hdr: how it takes static HDR metadata; None if it loses that.
        interlaced: whether it codes fields.
        full_range: whether its stream, or any container, tells that samples have full range.
        matrices: codes of the colour matrices that its stream can tell; empty for any.
    """

    codec: str
    suffixes: tuple[str, ...]
    presets: tuple[str, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    preset_option: str = "preset"
    default_crf: int | None = None
    max_crf: int = 0
    lossless: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    hdr: HDRParameters | None = None
    interlaced: bool = False
    full_range: bool = True
    matrices: tuple[int, ...] = ()

    def profile_for(self, pixel_format: str) -> str | None:
        """The profile that a pixel format gets where none is asked for; None if it has none."""
        for name, profile in self.profiles.items():
            if profile.is_usual and pixel_format in profile.pixel_formats:
                return name
        return None


_YUV422P10, _YUV444P10 = ("yuv422p10le",), ("yuv444p10le",)
_WITH_ALPHA = ("yuv444p10le", "yuva444p10le")

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
    "ffv1": Encoder(
        "ffv1",
        (".mkv", ".mp4"),
        # What archives ask for: each frame alone, in slices with checksums, as many as its size
        # allows. The large context, which is often asked for too, makes such files larger.
        options=(("level", "3"), ("g", "1"), ("slicecrc", "1")),
        interlaced=True,
    ),
    "prores_ks": Encoder(
        "prores",
        (".mov", ".mkv"),
        profiles={
            "proxy": Profile(_YUV422P10),
            "lt": Profile(_YUV422P10),
            "standard": Profile(_YUV422P10),
            "hq": Profile(_YUV422P10, is_usual=True),
            "4444": Profile(_WITH_ALPHA, is_usual=True),
            "4444xq": Profile(_WITH_ALPHA),
        },
        preset_option="profile",
        interlaced=True,
        full_range=False,
    ),
    "dnxhd": Encoder(
        "dnxhd",
        (".mov",),
        profiles={
            "dnxhr_lb": Profile(("yuv422p",)),
            "dnxhr_sq": Profile(("yuv422p",)),
            "dnxhr_hq": Profile(("yuv422p",), is_usual=True),
            "dnxhr_hqx": Profile(_YUV422P10, is_usual=True),
            "dnxhr_444": Profile(_YUV444P10, is_usual=True),
        },
        preset_option="profile",
        matrices=(_BT709,),
    ),
}
"""The encoders, by FFmpeg's name."""
