"""ASTF's fusion of two enhancements, and sharpening, in plain PyTorch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""What red, green and blue count in luma: BT.601."""


class FrameVariance(NamedTuple):
    """What is known of frames when their masks are made.

    Attributes:
        map: (B, 1, H, W), the local variance of the luma; float64 for float64 frames, else float32.
        bounds: (B, 2), the least and the largest value of each map.
    """

    map: Tensor
    bounds: Tensor


def luma_of(frames: Tensor) -> Tensor:
    """Luma (B, 1, H, W) of RGB (B, 3, H, W), or of luma, which it is already."""
    if frames.shape[1] == 1:
        return frames
    # Not new_tensor, which refuses to follow a negative view.
    weights = torch.tensor(LUMA_WEIGHTS, dtype=frames.dtype, device=frames.device)
    return (frames * weights.view(3, 1, 1)).sum(1, keepdim=True)


def frame_variance(frames: Tensor, radius: int) -> FrameVariance:
    """See :func:`vqe_fast.ops.fusion.frame_variance`."""
    luma = luma_of(_computed(frames))
    # Variances do not change with a constant, but far from zero they lose their digits; of equal
    # pixels nothing is left, not even what rounding would leave beside their mean.
    luma = luma - luma[..., :1, :1].detach()
    luma = luma - luma.detach().mean((2, 3), keepdim=True)
    mean = _window_mean(luma, radius)
    variance = (_window_mean(luma * luma, radius) - mean * mean).clamp_min(0)
    return FrameVariance(variance, torch.stack(variance.detach().flatten(1).aminmax(dim=1), dim=1))


def local_variance(luma: Tensor, radius: int = 11) -> Tensor:
    """Variance in a window; see :func:`vqe_fast.ops.local_variance`."""
    return frame_variance(luma, radius).map.to(luma.dtype)


def common_bounds(*bounds: Tensor) -> Tensor:
    """The bounds (B, 2) of several frames' maps taken together."""
    low, high = torch.stack(bounds).unbind(-1)
    return torch.stack((low.amin(0), high.amax(0)), dim=1)


def mask_of(map: Tensor, bounds: Tensor) -> Tensor:
    """ASTF eq. 6: where the map lies between the bounds, 0 if these are equal."""
    low, high = bounds[:, :, None, None, None].unbind(1)
    spread = high - low
    return (map - low) / torch.where(spread == 0, 1, spread)


def astf_mask(previous: Tensor, current: Tensor, following: Tensor, radius: int = 11) -> Tensor:
    """Mask of non-smooth regions; see :func:`vqe_fast.ops.astf_mask`."""
    frames = (previous.detach(), current.detach(), following.detach())
    found = [frame_variance(frame, radius) for frame in frames]
    bounds = common_bounds(*(variance.bounds for variance in found))
    return mask_of(found[1].map, bounds).to(current.dtype)


def fuse(detail: Tensor, smooth: Tensor, map: Tensor, bounds: Tensor, sharpen: float) -> Tensor:
    """See :func:`vqe_fast.ops.fusion.fuse`."""
    d, s = _computed(detail), _computed(smooth)
    fused = s + mask_of(map, bounds) * (d - s)
    return (fused if sharpen == 0 else unsharp_mask(fused, sharpen)).to(detail.dtype)


def astf_fuse(
    detail: Tensor,
    smooth_previous: Tensor,
    smooth: Tensor,
    smooth_following: Tensor,
    *,
    radius: int = 11,
    sharpen: float = 0.0,
) -> Tensor:
    """Fusion by the mask; see :func:`vqe_fast.ops.astf_fuse`."""
    frames = (smooth_previous.detach(), smooth.detach(), smooth_following.detach())
    found = [frame_variance(frame, radius) for frame in frames]
    bounds = common_bounds(*(variance.bounds for variance in found))
    return fuse(detail, smooth, found[1].map, bounds, sharpen)


def gaussian_taps(kernel_size: int, sigma: float) -> list[float]:
    """Samples of a Gaussian, of sum 1."""
    half = kernel_size // 2
    values = [math.exp(-(k**2) / (2 * sigma**2)) for k in range(-half, half + 1)]
    return [value / sum(values) for value in values]


def unsharp_mask(frames: Tensor, amount: float, kernel_size: int = 3, sigma: float = 0.8) -> Tensor:
    """Sharpening; see :func:`vqe_fast.ops.unsharp_mask`."""
    values = blurred = _computed(frames)
    taps = gaussian_taps(kernel_size, sigma)
    for dim in (2, 3):
        blurred = _blur(blurred, taps, dim)
    return (values + amount * (values - blurred)).to(frames.dtype)


def _computed(frames: Tensor) -> Tensor:
    return frames.to(torch.promote_types(frames.dtype, torch.float32))


def _window_mean(values: Tensor, radius: int) -> Tensor:
    """Mean over the part of each square window that lies in the image."""
    for side, margin in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
        values = functional.avg_pool2d(values, side, 1, margin, count_include_pad=False)
    return values


def _blur(values: Tensor, taps: list[float], dim: int) -> Tensor:
    """Weighted sum along a dimension, mirrored at the outermost pixels."""
    size = values.shape[dim]
    period = max(2 * (size - 1), 1)
    blurred = torch.zeros_like(values)
    for offset, tap in enumerate(taps, start=-(len(taps) // 2)):
        places = (torch.arange(size, device=values.device) + offset) % period
        places = torch.minimum(places, period - places) if size > 1 else torch.zeros_like(places)
        blurred = blurred + tap * values.index_select(dim, places)
    return blurred
