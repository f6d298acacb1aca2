"""Table of the video encoders: containers, presets, rate factors, private options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

_HAS_AVX512 = bool(torch.cpu.get_capabilities().get("avx512_f"))
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
_NVENC_PRESETS = tuple(f"p{number}" for number in range(1, 8))
_QSV_PRESETS = ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


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
        crf_step: by how much factors may differ.
        crf_options: options that take the factor, which stands for ``{}`` in them.
        keyframes: frames from one keyframe to the next where no scene begins.
        lossless: private options that make it lossless; empty if none do.
        options: private options that it always gets.
        hdr: how it takes static HDR metadata; None if it loses that.
        interlaced: whether it codes fields.
        alpha_beside: whether it writes transparency in a layer that Matroska alone holds.
        hardware: who makes the hardware that it needs; None for one that runs everywhere.
        layouts: the pixel formats that it takes → in which layout it is given their samples;
            empty for all that FFmpeg says it takes, as they are.
    """

    codec: str
    suffixes: tuple[str, ...]
    presets: tuple[str, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    preset_option: str = "preset"
    default_crf: int | None = None
    max_crf: int = 0
    crf_step: float = 1
    crf_options: tuple[tuple[str, str], ...] = (("crf", "{}"),)
    keyframes: int = 250
    lossless: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    hdr: HDRParameters | None = None
    interlaced: bool = False
    alpha_beside: bool = False
    hardware: str | None = None
    layouts: Mapping[str, str] = field(default_factory=dict)

    @property
    def min_crf(self) -> int:
        """The smallest factor it takes: 0 stands for lossless."""
        return 0 if self.lossless else 1

    def layout_of(self, pixel_format: str) -> str:
        """The layout in which it is given samples of a pixel format that it takes."""
        return self.layouts.get(pixel_format, pixel_format)

    def profile_for(self, pixel_format: str) -> str | None:
        """The profile that a pixel format gets where none is asked for; None if it has none."""
        for name, profile in self.profiles.items():
            if profile.is_usual and pixel_format in profile.pixel_formats:
                return name
        return None


_YUV422P10, _YUV444P10 = ("yuv422p10le",), ("yuv444p10le",)
_WITH_ALPHA = ("yuv444p10le", "yuva444p10le")

_H264_OR_HEVC, _AV1 = (".mp4", ".mov", ".mkv"), (".mp4", ".mkv", ".webm")
_EIGHT, _TEN = {"yuv420p": "nv12"}, {"yuv420p10le": "p010le"}
_ALL_ROWS = {"yuv444p": "yuv444p"}


def _nvenc(
    codec: str,
    suffixes: tuple[str, ...],
    default_crf: int,
    layouts: Mapping[str, str],
    lossless: tuple[tuple[str, str], ...] = (),
) -> Encoder:
    """An encoder of NVIDIA's GPUs, with the quality that it aims at for a rate factor."""
    return Encoder(
        codec,
        suffixes,
        _NVENC_PRESETS,
        default_crf=default_crf,
        max_crf=51,
        crf_options=(("rc", "vbr"), ("cq", "{}"), ("b", "0")),
        lossless=lossless,
        hardware="NVIDIA",
        layouts=layouts,
    )


def _qsv(
    codec: str, suffixes: tuple[str, ...], default_crf: int, layouts: Mapping[str, str]
) -> Encoder:
    """An encoder of Intel's GPUs, with the quality of its mode ICQ for a rate factor."""
    return Encoder(
        codec,
        suffixes,
        _QSV_PRESETS,
        default_crf=default_crf,
        max_crf=51,
        crf_options=(("global_quality", "{}"),),
        hardware="Intel",
        layouts=layouts,
    )


ENCODERS = {
    "libx264": Encoder(
        "h264",
        (".mp4", ".mov", ".mkv"),
        _X26X_PRESETS,
        default_crf=18,
        max_crf=51,
        crf_step=0.25,
        lossless=(("qp", "0"),),
        # What it does with AVX-512 depends, at some sizes, on what was in memory before.
        options=(("x264-params", "asm=AVX2"),) if _HAS_AVX512 else (),
        hdr=HDRParameters("x264-params", "mastering-display", "cll"),
        interlaced=True,
    ),
    "libx265": Encoder(
        "hevc",
        (".mp4", ".mov", ".mkv"),
        _X26X_PRESETS,
        default_crf=20,
        max_crf=51,
        crf_step=0.25,
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
        keyframes=161,
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
        keyframes=128,
        lossless=(("lossless", "1"),),
        options=(("row-mt", "1"),),
        alpha_beside=True,
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
    ),
    # Not tried on hardware. HDR metadata is refused: drivers decide whether it is written.
    "h264_nvenc": _nvenc("h264", _H264_OR_HEVC, 18, _EIGHT | _ALL_ROWS, (("tune", "lossless"),)),
    "hevc_nvenc": _nvenc(
        "hevc", _H264_OR_HEVC, 20, _EIGHT | _TEN | _ALL_ROWS, (("tune", "lossless"),)
    ),
    "av1_nvenc": _nvenc("av1", _AV1, 20, _EIGHT | _TEN),
    "h264_qsv": _qsv("h264", _H264_OR_HEVC, 18, _EIGHT),
    "hevc_qsv": _qsv("hevc", _H264_OR_HEVC, 20, _EIGHT | _TEN),
    "av1_qsv": _qsv("av1", _AV1, 20, _EIGHT | _TEN),
}
"""The encoders, by FFmpeg's name."""

SOFTWARE = {name: encoder for name, encoder in ENCODERS.items() if encoder.hardware is None}
"""Those that run everywhere, the ones that messages name."""
