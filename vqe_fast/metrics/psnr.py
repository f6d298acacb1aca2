"""Peak signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(images: Tensor, originals: Tensor, *, peak: float = 1.0) -> Tensor:
    """PSNR of each image, 10·log₁₀(peak² / MSE), the MSE over all its channels.

    Args:
        images: (B, C, H, W), any dtype of real numbers.
        originals: the same shape.
        peak: the largest value a sample can have: 1, or 255 for samples of 8 bits.

    Returns:
        (B,) in dB, float64; infinite for equal images.

    Raises:
        ValueError: the shapes differ, or are not (B, C, H, W).
    """
    if images.shape != originals.shape or images.dim() != 4:
        raise ValueError(
            f"images and originals must both be (B, C, H, W), got {tuple(images.shape)} "
            f"and {tuple(originals.shape)}"
        )
    error = (images.double() - originals.double()).square().mean((1, 2, 3))
    return 10 * torch.log10(peak**2 / error)
