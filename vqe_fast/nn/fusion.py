"""Fusion of two enhancements of a video, and sharpening, as modules."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vqe_fast.ops._checks import check_finite, check_tensor
from vqe_fast.ops.fusion import (
    check_radius,
    check_unsharp_options,
    frame_variance,
    fuse,
    unsharp_mask,
)
from vqe_fast.reference.fusion import FrameVariance, common_bounds


class _Waiting(NamedTuple):
    detail: Tensor
    smooth: Tensor
    variance: FrameVariance


class FusionStream:
    """Streaming fusion of a video, frame by frame.

    A frame is fused when the one after it is known. The state is that frame, its variance map, and
    the bounds of the map before it; each frame's variance is computed once.

    Args:
        radius: of the windows, 0 to 63 pixels.
        sharpen: amount of sharpening; 0 for none.
    """

    def __init__(self, radius: int = 11, sharpen: float = 0.0) -> None:
        check_finite("sharpen", sharpen)
        self._radius = check_radius(radius)
        self._sharpen = sharpen
        self._waiting: _Waiting | None = None
        self._previous: Tensor | None = None

    def push(self, detail: Tensor, smooth: Tensor) -> Tensor | None:
        """Takes the next frame, gives the fused one before it.

        Args:
            detail: (B, C, H, W), C = 3 for RGB or 1 for luma.
            smooth: (B, C, H, W).

        Returns:
            (B, C, H, W), or nothing for the first frame.

        Raises:
            TypeError: ``detail`` or ``smooth`` is not a floating-point tensor.
            ValueError: the shapes do not fit each other or the frames before.
        """
        check_tensor("detail", detail)
        check_tensor("smooth", smooth)
        if detail.shape != smooth.shape:
            raise ValueError(
                f"smooth must have the shape of detail, {tuple(detail.shape)}; "
                f"got {tuple(smooth.shape)}"
            )
        before = self._waiting
        if before is not None and before.detail.shape != detail.shape:
            raise ValueError(
                f"detail must have the shape of the frames before, {tuple(before.detail.shape)}; "
                f"got {tuple(detail.shape)}"
            )
        variance = frame_variance(smooth.detach(), self._radius)
        fused = self._fused(variance.bounds)
        self._previous = variance.bounds if before is None else before.variance.bounds
        self._waiting = _Waiting(detail, smooth, variance)
        return fused

    def flush(self) -> Tensor | None:
        """The last fused frame, or nothing if there was none; then a new video may begin."""
        if self._waiting is None:
            return None
        fused = self._fused(self._waiting.variance.bounds)
        self._waiting = self._previous = None
        return fused

    def _fused(self, following: Tensor) -> Tensor | None:
        if self._waiting is None or self._previous is None:
            return None
        detail, smooth, variance = self._waiting
        bounds = common_bounds(self._previous, variance.bounds, following)
        return fuse(detail, smooth, variance.map, bounds, self._sharpen)


class AdaptiveSpatialTemporalFusion(nn.Module):
    """Fusion of two enhancements: detail where there is texture, else smooth; ASTF §3.3.

    Each frame as :func:`vqe_fast.ops.astf_fuse` does it, but the variance of a frame is computed
    once for itself and its neighbours; the first and the last frame are their own neighbours.
    Gradients flow to both enhancements where they are blended, none through the mask.

    Args:
        radius: of the windows, 0 to 63 pixels; the paper's is 11.
        sharpen: amount of sharpening of the result, as in :class:`UnsharpMask`; 0 for none.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(self, radius: int = 11, sharpen: float = 0.0) -> None:
        super().__init__()
        check_finite("sharpen", sharpen)
        self.radius = check_radius(radius)
        self.sharpen = sharpen

    def forward(self, detail: Tensor, smooth: Tensor) -> Tensor:
        """Fuses a clip.

        Args:
            detail: (B, T, C, H, W), C = 3 for RGB (in this order) or 1 for luma.
            smooth: (B, T, C, H, W).

        Returns:
            (B, T, C, H, W).

        Raises:
            TypeError: ``detail`` or ``smooth`` is not a floating-point tensor.
            ValueError: the shapes differ or have other dimensions.
        """
        if detail.dim() != 5 or detail.shape != smooth.shape:
            raise ValueError(
                "detail and smooth must both be (B, T, C, H, W), "
                f"got {tuple(detail.shape)} and {tuple(smooth.shape)}"
            )
        size = detail.shape[:2]
        variance = frame_variance(smooth.detach().flatten(0, 1), self.radius, name="smooth")
        bounds = variance.bounds.unflatten(0, size)
        previous = torch.cat((bounds[:, :1], bounds[:, :-1]), dim=1)
        following = torch.cat((bounds[:, 1:], bounds[:, -1:]), dim=1)
        common = common_bounds(*(each.flatten(0, 1) for each in (previous, bounds, following)))
        frames = (detail.flatten(0, 1), smooth.flatten(0, 1))
        fused: Tensor = fuse(*frames, variance.map, common, self.sharpen).unflatten(0, size)
        return fused

    def stream(self) -> FusionStream:
        """The same for a video that comes frame by frame."""
        return FusionStream(self.radius, self.sharpen)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"radius={self.radius}, sharpen={self.sharpen}"


class UnsharpMask(nn.Module):
    """Unsharp masking of frames; see :func:`vqe_fast.ops.unsharp_mask`.

    Args:
        amount: of sharpening, finite.
        kernel_size: taps along each side, odd, 1 to 33.
        sigma: standard deviation of the Gaussian in pixels.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(self, amount: float, kernel_size: int = 3, sigma: float = 0.8) -> None:
        super().__init__()
        self.kernel_size = check_unsharp_options(amount, kernel_size, sigma)
        self.amount = amount
        self.sigma = sigma

    def forward(self, frames: Tensor) -> Tensor:
        """The sharpened frames, (B, C, H, W)."""
        return unsharp_mask(frames, self.amount, self.kernel_size, self.sigma)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"amount={self.amount}, kernel_size={self.kernel_size}, sigma={self.sigma}"
