"""Crop of the frames under comparison."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from vqe_fast.video.errors import VideoError

SMALLEST = 11
"""Sides in pixels: the window of SSIM has to fit in."""


@dataclass(frozen=True)
class Crop:
    """A rectangle of a frame as it is shown, in pixels; ``left`` and ``top`` count from 0."""

    width: int
    height: int
    left: int = 0
    top: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``WIDTHxHEIGHT+LEFT+TOP``.

        Raises:
            VideoError: it is something else.
        """
        found = re.fullmatch(r"(\d+)x(\d+)\+(\d+)\+(\d+)", text)
        if found is None:
            raise VideoError(f"a crop is WIDTHxHEIGHT+LEFT+TOP, such as 640x360+100+50; got {text}")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}+{self.left}+{self.top}"

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)

    def refuse_outside(self, width: int, height: int) -> None:
        """Checks that the crop lies in frames of this size, and is large enough.

        Raises:
            VideoError: it does not, or is not.
        """
        if self.left + self.width > width or self.top + self.height > height:
            raise VideoError(f"the crop {self} does not lie in the frames, {width}x{height}")
        if min(self.width, self.height) < SMALLEST:
            raise VideoError(
                f"SSIM needs {SMALLEST}x{SMALLEST} pixels, got {self.width}x{self.height}; "
                "take a larger crop or video"
            )
