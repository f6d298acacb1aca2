"""Static HDR metadata: the mastering display and how bright the content gets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

_CHROMATICITY = 50_000  # units of HEVC's and H.264's messages: 0.00002 and 0.0001 cd/m²
_LUMINANCE = 10_000
_DISPLAY = struct.Struct("=20i2i")
_LIGHT = struct.Struct("=2I")

Chromaticity = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class MasteringDisplay:
    """The display that the video was graded on (SMPTE ST 2086).

    Attributes:
        red: x and y of CIE 1931.
        green: the same.
        blue: the same.
        white: the same.
        darkest: cd/m².
        brightest: cd/m².
    """

    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity
    darkest: Fraction
    brightest: Fraction


@dataclass(frozen=True)
class StaticHDR:
    """Static HDR metadata (HDR10) of a whole video; None where it says nothing.

    Attributes:
        display: that the video was graded on.
        light: MaxCLL and MaxFALL of CTA-861.3, cd/m².
    """

    display: MasteringDisplay | None
    light: tuple[int, int] | None

    def __bool__(self) -> bool:
        return self.display is not None or self.light is not None

    def in_units(self) -> tuple[str | None, str | None]:
        """Both as x265 and x264 take them: ``G(13250,34500)B(…)R(…)WP(…)L(…,…)``, ``1000,400``."""
        return self._written(
            lambda value: str(round(value * _CHROMATICITY)),
            lambda value: str(round(value * _LUMINANCE)),
        )

    def in_decimals(self) -> tuple[str | None, str | None]:
        """Both as SVT-AV1 takes them: ``G(0.265,0.69)B(…)R(…)WP(…)L(1000.0,0.005)``."""
        return self._written(lambda value: str(float(value)), lambda value: str(float(value)))

    def _written(
        self, chromaticity: Callable[[Fraction], str], luminance: Callable[[Fraction], str]
    ) -> tuple[str | None, str | None]:
        light = None if self.light is None else f"{self.light[0]},{self.light[1]}"
        if self.display is None:
            return None, light
        shown = self.display
        points = (("G", shown.green), ("B", shown.blue), ("R", shown.red), ("WP", shown.white))
        text = "".join(f"{name}({chromaticity(x)},{chromaticity(y)})" for name, (x, y) in points)
        return f"{text}L({luminance(shown.brightest)},{luminance(shown.darkest)})", light


def read_display(data: bytes) -> MasteringDisplay | None:
    """Reads FFmpeg's ``AVMasteringDisplayMetadata``; None if it says nothing."""
    *numbers, has_primaries, has_luminance = _DISPLAY.unpack(data[: _DISPLAY.size])
    if not has_primaries and not has_luminance:
        return None
    values = [
        Fraction(over, under) if under else Fraction(0)
        for over, under in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    red, green, blue, white = (
        (values[2 * i], values[2 * i + 1]) if has_primaries else (Fraction(0), Fraction(0))
        for i in range(4)
    )
    darkest, brightest = values[8:] if has_luminance else (Fraction(0), Fraction(0))
    return MasteringDisplay(red, green, blue, white, darkest, brightest)


def read_light(data: bytes) -> tuple[int, int] | None:
    """Reads FFmpeg's ``AVContentLightMetadata``; None if it says nothing."""
    most, mean = _LIGHT.unpack(data[: _LIGHT.size])
    return (most, mean) if most or mean else None
