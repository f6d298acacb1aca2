"""Chroma resampling between subsampled planes and luma's resolution, by chroma siting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_ACROSS = {"center": 0.5, "top": 0.5, "bottom": 0.5}
_DOWN = {"topleft": 0.0, "top": 0.0, "bottomleft": 1.0, "bottom": 1.0}


@dataclass(frozen=True)
class Siting:
    """Chroma siting: where a sample of chroma lies among those of luma that share it.

    Attributes:
        across: 0 with their left column, 1 with their right one.
        down: 0 with their upper row, 1 with their lower one.
    """

    across: float
    down: float

    @classmethod
    def named(cls, location: str) -> Self:
        """The siting by FFmpeg's name; ``left``, as in H.264 and HEVC, where it says nothing."""
        return cls(_ACROSS.get(location, 0.0), _DOWN.get(location, 0.5))

    def of_field(self, parity: int) -> Siting:
        """The siting within one field: that of the even rows, 0, or of the odd ones, 1.

        Rows of a field are two apart: between two of them chroma lies off the middle.
        """
        return Siting(self.across, (parity + self.down) / 2)


def enlarge(chroma: Tensor, size: tuple[int, int], siting: Siting) -> Tensor:
    """Upsamples chroma linearly to the resolution of luma.

    Args:
        chroma: (B, C, h, w); h is that of luma, or half or a quarter of it, rounded up; likewise w.
        size: height and width of luma.
        siting: of the chroma.

    Returns:
        (B, C, *size).
    """
    chroma = _enlarge(chroma, -2, size[0], siting.down)
    return _enlarge(chroma, -1, size[1], siting.across)


def shrink(chroma: Tensor, size: tuple[int, int], siting: Siting) -> Tensor:
    """Downsamples from luma's resolution, by the weights that :func:`enlarge` spreads with.

    Args:
        chroma: (B, C, H, W).
        size: height and width of chroma: H and W, or half or a quarter of them, rounded up.
        siting: of the chroma.

    Returns:
        (B, C, *size).
    """
    chroma = _shrink(chroma, -1, size[1], siting.across)
    return _shrink(chroma, -2, size[0], siting.down)


def _enlarge(chroma: Tensor, dim: int, length: int, place: float) -> Tensor:
    """Doubles one dimension until it has ``length``."""
    if chroma.shape[dim] == length:
        return chroma
    chroma = _enlarge(chroma, dim, -(-length // 2), place)
    count = chroma.shape[dim]
    padded = _padded(chroma, dim)
    before, after = padded.narrow(dim, 0, count), padded.narrow(dim, 2, count)
    pairs = chroma.lerp(before, place / 2), chroma.lerp(after, (1 - place) / 2)
    return torch.stack(pairs, dim).flatten(dim - 1, dim).narrow(dim, 0, length)


def _shrink(chroma: Tensor, dim: int, length: int, place: float) -> Tensor:
    """Halves one dimension until it has ``length``."""
    if chroma.shape[dim] == length:
        return chroma
    is_odd = chroma.shape[dim] % 2
    count = chroma.shape[dim] + is_odd
    padded = _padded(chroma, dim, 1 + is_odd)
    before, first = padded.narrow(dim, 0, count).unflatten(dim, (-1, 2)).unbind(dim)
    second, after = padded.narrow(dim, 2, count).unflatten(dim, (-1, 2)).unbind(dim)
    sums = first.lerp(after, place / 2) + second.lerp(before, (1 - place) / 2)
    return _shrink(sums / 2, dim, length, place)


def _padded(chroma: Tensor, dim: int, after: int = 1) -> Tensor:
    """With the first sample once more before it, and the last one so many times after it."""
    last = chroma.narrow(dim, -1, 1)
    return torch.cat((chroma.narrow(dim, 0, 1), chroma, *[last] * after), dim)
