"""Chroma between its own resolution and that of luma."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Where chroma lies: each sample with the left of its two columns, midway between its two rows, as
# MPEG-2, H.264 and HEVC have it unless they say otherwise, which PyAV does not tell.


def enlarge(chroma: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolates chroma linearly to the resolution of luma.

    Args:
        chroma: (B, C, h, w); h is that of luma, or half of it, rounded up; likewise w.
        size: height and width of luma.

    Returns:
        (B, C, *size).
    """
    height, width = size
    if chroma.shape[-2] != height:
        above = _pad(chroma, above=1)[..., :-1, :]
        below = _pad(chroma, below=1)[..., 1:, :]
        first, second = (chroma.lerp(other, 0.25) for other in (above, below))
        chroma = _interleave(first, second, -2)[..., :height, :]
    if chroma.shape[-1] != width:
        right = _pad(chroma, right=1)[..., 1:]
        chroma = _interleave(chroma, chroma.lerp(right, 0.5), -1)[..., :width]
    return chroma


def shrink(chroma: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages what has the resolution of luma with the weights that :func:`enlarge` spreads it by.

    Args:
        chroma: (B, C, H, W).
        size: height and width of chroma: H and W, or half of it, rounded up.

    Returns:
        (B, C, *size).
    """
    height, width = size
    if chroma.shape[-1] != width:
        padded = _pad(chroma, left=1, right=1 + chroma.shape[-1] % 2)
        before, here, after = padded[..., :-2:2], padded[..., 1:-1:2], padded[..., 2::2]
        chroma = (before + 2 * here + after) / 4
    if chroma.shape[-2] != height:
        padded = _pad(chroma, above=1, below=1 + chroma.shape[-2] % 2)
        rows = [padded[..., start : start + 2 * height : 2, :] for start in range(4)]
        chroma = (rows[0] + 3 * (rows[1] + rows[2]) + rows[3]) / 8
    return chroma


def _interleave(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    return torch.stack((even, odd), dim).flatten(dim - 1, dim)


def _pad(planes: Tensor, left: int = 0, right: int = 0, above: int = 0, below: int = 0) -> Tensor:
    return functional.pad(planes, (left, right, above, below), mode="replicate")
