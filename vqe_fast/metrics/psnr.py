"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def psnr(
    images: Tensor, originals: Tensor, *, peak: float = 1.0, ceiling: float = math.inf
) -> Tensor:
    """PSNR of each image, 10·log₁₀(peak² / MSE), the MSE over all its channels.

    Args:
        images: (B, C, H, W), or one image (C, H, W), any dtype of real numbers.
        originals: the same shape.
        peak: the largest value a sample can have: 1, or 255 for samples of 8 bits.
        ceiling: the most that an image can have, in dB; with a finite one means stay finite.

    Returns:
        (B,), or a scalar for one image, in dB, float64; infinite for equal images but for
        ``ceiling``.

    Raises:
        ValueError: the shapes differ, or are not (B, C, H, W) or (C, H, W).
    """
    if images.shape != originals.shape or images.dim() not in (3, 4):
        raise ValueError(
            f"images and originals must both be (B, C, H, W) or (C, H, W), the frames of clips in "
            f"B; got {tuple(images.shape)} and {tuple(originals.shape)}"
        )
    error = (images.double() - originals.double()).square().mean((-3, -2, -1))
    return (10 * torch.log10(peak**2 / error)).clamp_max(ceiling)
