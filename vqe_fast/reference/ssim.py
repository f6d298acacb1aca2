"""SSIM (Wang et al. 2004), MS-SSIM (Wang et al. 2003) and their losses, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict, Unpack

import torch
from torch import Tensor
from torch.nn import functional

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, the finest first (Wang 2003, §3.2)."""


class SSIMOptions(TypedDict, total=False):
    """The options of :func:`vqe_fast.ops.ssim`."""

    data_range: float
    window_size: int
    sigma: float
    k1: float
    k2: float
    padding: str
    reduction: str


class MSSSIMOptions(TypedDict, total=False):
    """The options of :func:`vqe_fast.ops.ms_ssim`."""

    data_range: float
    window_size: int
    sigma: float
    k1: float
    k2: float
    weights: Sequence[float]
    reduction: str


def similarity_parts(
    input: Tensor,
    target: Tensor,
    *,
    window_size: int,
    sigma: float,
    c1: float,
    c2: float,
    padding: str = "valid",
) -> tuple[Tensor, Tensor]:
    """The two factors of the SSIM map: luminance, and contrast times structure.

    16-bit images are computed, and their maps returned, in float32.
    """
    if input.element_size() < 4:
        input, target = input.float(), target.float()
    offsets = torch.arange(window_size, dtype=input.dtype, device=input.device)
    window = torch.exp(-((offsets - window_size // 2) ** 2) / (2 * sigma**2))
    window = window / window.sum()
    # Variances do not change with a constant, but far from zero they lose their digits.
    shift_x = input.detach().mean((2, 3), keepdim=True)
    shift_y = target.detach().mean((2, 3), keepdim=True)
    if padding == "same":
        margins = [window_size // 2] * 4
        input, target = functional.pad(input, margins), functional.pad(target, margins)
    x, y = input - shift_x, target - shift_y

    mean_x, mean_y, square_x, square_y, product = _blurred((x, y, x * x, y * y, x * y), window)
    variance_x = (square_x - mean_x * mean_x).clamp_min(0)
    variance_y = (square_y - mean_y * mean_y).clamp_min(0)
    covariance = product - mean_x * mean_y
    mean_x, mean_y = mean_x + shift_x, mean_y + shift_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance, structure


def _blurred(maps: Sequence[Tensor], window: Tensor) -> tuple[Tensor, ...]:
    """Sums of each map (B, C, H, W) over windows, weighted along rows and columns by ``window``.

    Together the maps are several channels in rows one after the other: convolutions of float32 for
    which PyTorch has a kernel of its own on a GPU. cuDNN's, for one channel or channels last, takes
    TF32 unless told otherwise, and too few digits are left of a variance.
    """
    stacked = torch.cat(tuple(maps), dim=1).contiguous()
    channels = stacked.shape[1]
    taps = window.expand(channels, 1, 1, -1)
    rows = functional.conv2d(stacked, taps, groups=channels)
    return functional.conv2d(rows, taps.mT, groups=channels).chunk(len(maps), dim=1)


def ssim(
    input: Tensor,
    target: Tensor,
    *,
    data_range: float = 1.0,
    window_size: int = 11,
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    padding: str = "valid",
    reduction: str = "mean",
) -> Tensor:
    """Structural similarity; see :func:`vqe_fast.ops.ssim`."""
    luminance, structure = similarity_parts(
        input,
        target,
        window_size=window_size,
        sigma=sigma,
        c1=(k1 * data_range) ** 2,
        c2=(k2 * data_range) ** 2,
        padding=padding,
    )
    similarity = luminance * structure
    return (similarity.mean() if reduction == "mean" else similarity).to(input.dtype)


def ssim_loss(input: Tensor, target: Tensor, **options: Unpack[SSIMOptions]) -> Tensor:
    """1 − SSIM; see :func:`vqe_fast.ops.ssim_loss`."""
    return 1 - ssim(input, target, **options)


def ssim_mse_loss(
    input: Tensor, target: Tensor, alpha: float = 0.79, **options: Unpack[SSIMOptions]
) -> Tensor:
    """α·(1 − SSIM) + (1 − α)·MSE; see :func:`vqe_fast.ops.ssim_mse_loss`."""
    if input.element_size() < 4:
        return ssim_mse_loss(input.float(), target.float(), alpha, **options).to(input.dtype)
    reduction = options.get("reduction", "mean")
    squares = functional.mse_loss(input, target, reduction=reduction)
    return alpha * ssim_loss(input, target, **options) + (1 - alpha) * squares


def multiscale(
    means: Callable[[Tensor, Tensor, bool], Tensor],
    input: Tensor,
    target: Tensor,
    weights: Sequence[float],
) -> Tensor:
    """MS-SSIM of each plane from what SSIM is at each scale.

    Args:
        means: (input, target, whether without luminance) → mean over each plane, (B, C).
        input: (B, C, H, W).
        target: the same shape.
        weights: the exponent of each scale.

    Returns:
        (B, C). Where a factor is negative it counts as 0, with gradient 0.
    """
    product: Tensor | None = None
    for scale, weight in enumerate(weights):
        if scale > 0:
            input, target = halved(input), halved(target)
        mean = means(input, target, scale + 1 < len(weights))
        positive = mean > 0
        factor = torch.where(positive, torch.where(positive, mean, 1) ** weight, 0)
        product = factor if product is None else product * factor
    assert product is not None
    return product


def halved(image: Tensor) -> Tensor:
    """Means of 2×2 pixels, a zero row above or column before where the number of them is odd.

    As ``avg_pool2d``, in a third of its time on a CPU.
    """
    height, width = image.shape[2:]
    if height % 2:
        image = functional.pad(image, (0, 0, 1, 0))
    if width % 2:
        image = functional.pad(image, (1, 0))
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def ms_ssim(
    input: Tensor,
    target: Tensor,
    *,
    data_range: float = 1.0,
    window_size: int = 11,
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    reduction: str = "mean",
) -> Tensor:
    """Multi-scale structural similarity; see :func:`vqe_fast.ops.ms_ssim`."""
    c1, c2 = (k1 * data_range) ** 2, (k2 * data_range) ** 2

    def means(x: Tensor, y: Tensor, without_luminance: bool) -> Tensor:
        luminance, structure = similarity_parts(
            x, y, window_size=window_size, sigma=sigma, c1=c1, c2=c2
        )
        return (structure if without_luminance else luminance * structure).mean((2, 3))

    dtype = input.dtype
    if input.element_size() < 4:
        input, target = input.float(), target.float()
    planes = multiscale(means, input, target, weights)
    return (planes.mean() if reduction == "mean" else planes).to(dtype)


def ms_ssim_loss(input: Tensor, target: Tensor, **options: Unpack[MSSSIMOptions]) -> Tensor:
    """1 − MS-SSIM; see :func:`vqe_fast.ops.ms_ssim_loss`."""
    return 1 - ms_ssim(input, target, **options)
