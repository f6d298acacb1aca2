"""SSIM (Wang et al. 2004) and the losses made of it, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
    """Structural similarity under a Gaussian window, with biased variances, per channel.

    SSIM = (2μxμy + C1)(2σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)),
    C1 = (k1·range)², C2 = (k2·range)².

    Args:
        input: (B, C, H, W), values in [0, ``data_range``].
        target: the same shape.
        data_range: the difference between the largest and the smallest possible value.
        window_size: side of the window in pixels, odd.
        sigma: standard deviation of the window in pixels.
        k1: stabiliser of the means.
        k2: stabiliser of the variances.
        padding: ``"valid"`` keeps only the pixels whose whole window lies in the image,
            ``"same"`` pads with zeros.
        reduction: ``"mean"``, or ``"none"`` for the map.

    Returns:
        A scalar, or (B, C, H', W'); H' = H − window_size + 1 when ``"valid"``, else H.
    """
    channels = input.shape[1]
    offsets = torch.arange(window_size, dtype=input.dtype, device=input.device)
    window = torch.exp(-((offsets - window_size // 2) ** 2) / (2 * sigma**2))
    window = (window / window.sum()).expand(channels, 1, 1, window_size)
    margin = window_size // 2 if padding == "same" else 0

    def blur(image: Tensor) -> Tensor:
        rows = functional.conv2d(image, window, padding=(0, margin), groups=channels)
        return functional.conv2d(rows, window.mT, padding=(margin, 0), groups=channels)

    mean_x, mean_y = blur(input), blur(target)
    variance_x = blur(input * input) - mean_x * mean_x
    variance_y = blur(target * target) - mean_y * mean_y
    covariance = blur(input * target) - mean_x * mean_y
    c1, c2 = (k1 * data_range) ** 2, (k2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    similarity = luminance * structure
    return similarity.mean() if reduction == "mean" else similarity


def ssim_loss(
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
    """1 − SSIM; the arguments are those of :func:`ssim`."""
    return 1 - ssim(
        input,
        target,
        data_range=data_range,
        window_size=window_size,
        sigma=sigma,
        k1=k1,
        k2=k2,
        padding=padding,
        reduction=reduction,
    )


def ssim_mse_loss(
    input: Tensor, target: Tensor, alpha: float = 0.79, *, data_range: float = 1.0
) -> Tensor:
    """α·(1 − SSIM) + (1 − α)·MSE, CAR-CNN eq. 7, for images in [0, ``data_range``]."""
    structural = ssim_loss(input, target, data_range=data_range)
    return alpha * structural + (1 - alpha) * functional.mse_loss(input, target)
