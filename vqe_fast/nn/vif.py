"""VIF and contrast: how much of the original's information and detail is left, as losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from vqe_fast.ops._checks import check_pair
from vqe_fast.reference.fusion import gaussian_taps

_WINDOWS = (17, 9, 5, 3)  # at the four scales, each with σ of a fifth
_NOISE = 2.0  # σ² of the eye, for samples of 8 bits
_TINY = 1e-6
_SMALLEST = 44  # leaves a position at the last scale


def vif_loss(
    input: Tensor, target: Tensor, gain_limit: float = 1.0, channels: int | None = None
) -> Tensor:
    """VIF loss, 1 − VIF: of pixels, mean of four scales, as VMAF's features are (Sheikh, Bovik).

    At each scale VIF = Σ log(1 + g²σ² / (σᵥ² + 2)) / Σ log(1 + σ² / 2) over Gaussian windows, where
    σ² is the target's variance, g the slope of a regression of ``input`` on it, σᵥ² the rest. Blur
    lowers g, noise raises σᵥ²; contrast beyond the original's counts for nothing unless
    ``gain_limit`` is raised, 1 being that of VMAF NEG.

    Args:
        input: (B, C, H, W) in [0, 1], H and W at least 44.
        target: the same.
        gain_limit: the most that g counts for.
        channels: how many of the first channels count; 1 for luma. All unless given.

    Returns:
        A number, 0 for equal images; float32 at least.

    Raises:
        ValueError: the shapes differ or are too small.
    """
    scales = [_vif(found, gain_limit) for found in _scales(input, target, channels)]
    return 1 - torch.stack(scales).mean()


def contrast_loss(input: Tensor, target: Tensor, channels: int | None = None) -> Tensor:
    """Contrast loss: Σ σ² max(0, 1 − g) / Σ σ², the share of the target's contrast that lacks.

    Over Gaussian windows at four scales, with σ² and g as in :func:`vif_loss`. The least squared
    error shrinks what cannot be known for sure, g < 1; this asks for all of its contrast.

    Args:
        input: (B, C, H, W) in [0, 1], H and W at least 44.
        target: the same.
        channels: how many of the first channels count; 1 for luma. All unless given.

    Returns:
        A number from 0 to 1; float32 at least.

    Raises:
        ValueError: the shapes differ or are too small.
    """
    scales = [
        (found.variance * (1 - found.slope).clamp_min(0)).sum() / (found.variance.sum() + _TINY)
        for found in _scales(input, target, channels)
    ]
    return torch.stack(scales).mean()


class _Regression(NamedTuple):
    """Variance of the target in each window, slope of the input's on it, and what that leaves."""

    variance: Tensor
    slope: Tensor
    left: Tensor


def _scales(input: Tensor, target: Tensor, channels: int | None) -> Iterator[_Regression]:
    """What is found at each scale; channels are images of their own."""
    check_pair(input, target)
    if input.dim() != 4 or min(input.shape[2:]) < _SMALLEST:
        raise ValueError(
            f"input must be (B, C, H, W) with at least {_SMALLEST}×{_SMALLEST}, got "
            f"{tuple(input.shape)}"
        )
    kind = torch.promote_types(input.dtype, torch.float32)
    shown, original = (
        255 * image[:, :channels].to(kind).flatten(0, 1)[:, None] for image in (input, target)
    )
    for number, window in enumerate(_WINDOWS):
        if number:
            shown, original = (
                _blurred(image, window)[..., ::2, ::2] for image in (shown, original)
            )
        yield _regression(shown, original, window)


def _regression(shown: Tensor, original: Tensor, window: int) -> _Regression:
    products = (shown, original, shown.square(), original.square(), shown * original)
    means = _blurred(torch.cat(products, dim=1).flatten(0, 1)[:, None], window)
    a, b, aa, bb, ab = means.unflatten(0, (shown.shape[0], 5)).unbind(1)
    variance, of_shown = ((x - y.square()).clamp_min(0) for x, y in ((bb, b), (aa, a)))
    covariance = ab - a * b
    slope = (covariance / (variance + _TINY)).clamp_min(0)
    return _Regression(variance, slope, (of_shown - slope * covariance).clamp_min(0))


def _vif(found: _Regression, gain_limit: float) -> Tensor:
    slope = found.slope.clamp_max(gain_limit)
    kept = (1 + slope.square() * found.variance / (found.left + _NOISE)).log().sum()
    return (kept + _TINY) / ((1 + found.variance / _NOISE).log().sum() + _TINY)


def _blurred(images: Tensor, window: int) -> Tensor:
    """(N, 1, H, W) under a Gaussian of ``window`` taps, where it fits."""
    taps = torch.tensor(gaussian_taps(window, window / 5), dtype=images.dtype, device=images.device)
    return F.conv2d(F.conv2d(images, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
