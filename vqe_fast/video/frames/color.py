"""Colour matrix and range of a stream: how Y'CbCr samples become RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import av
import torch
from av.video.reformatter import ColorRange
from torch import Tensor

from vqe_fast.video.frames.pixel_formats import implies_full_range

BT709, _BT601 = 1, 5
_SAME_AS_601 = 6  # SMPTE 170M
_HD_HEIGHT = 720

_RED_AND_BLUE = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    _BT601: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Matrix → how much red and blue count in luma: BT.709, FCC, BT.601, SMPTE 240M, BT.2020."""


@dataclass(frozen=True)
class ColorFacts:
    """Colour matrix and range: how Y'CbCr samples become RGB.

    Attributes:
        matrix: as ISO/IEC 23091-2 numbers them: 1 for BT.709, 5 for BT.601.
        full_range: whether luma goes from 0 to 255 rather than from 16 to 235.
    """

    matrix: int
    full_range: bool

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """Those of ``frame``'s tags; else BT.709 from 720 rows on, BT.601 below, limited."""
        matrix = _BT601 if frame.colorspace == _SAME_AS_601 else frame.colorspace
        if matrix not in _RED_AND_BLUE:
            matrix = BT709 if frame.height >= _HD_HEIGHT else _BT601
        full = frame.color_range == ColorRange.JPEG or implies_full_range(frame.format.name)
        return cls(matrix, full)

    def to_rgb(self, bits: int) -> tuple[Tensor, Tensor]:
        """The affine map from samples of Y', Cb and Cr to red, green and blue in [0, 1].

        Args:
            bits: of a sample.

        Returns:
            A matrix (3, 3) and an offset (3), float64: ``rgb = matrix @ samples + offset``.
        """
        red, blue = _RED_AND_BLUE[self.matrix]
        green = 1 - red - blue
        steps = 2 ** (bits - 8)
        peak = 256 * steps - 1
        luma_range, chroma_range = (peak, peak) if self.full_range else (219 * steps, 224 * steps)
        black = 0 if self.full_range else 16 * steps
        to_red, to_blue = 2 * (1 - red), 2 * (1 - blue)
        of_differences = torch.tensor(
            [
                [1, 0, to_red],
                [1, -to_blue * blue / green, -to_red * red / green],
                [1, to_blue, 0],
            ],
            dtype=torch.float64,
        )
        ranges = torch.tensor([luma_range, chroma_range, chroma_range], dtype=torch.float64)
        zero = torch.tensor([black, 128 * steps, 128 * steps], dtype=torch.float64)
        matrix = of_differences / ranges
        return matrix, -matrix @ zero
