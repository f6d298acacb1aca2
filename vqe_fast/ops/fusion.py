"""ASTF's fusion of two enhancements, and sharpening, as fused operators."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from vqe_fast import reference
from vqe_fast._whole_number import odd_number, whole_number
from vqe_fast.ops import _library
from vqe_fast.ops._autograd import differentiable, reference_gradients, wants_reference
from vqe_fast.ops._backend import use_kernel
from vqe_fast.ops._checks import check_finite, check_positive, check_tensor
from vqe_fast.reference.fusion import FrameVariance, common_bounds, gaussian_taps

MAX_RADIUS = 63
MAX_KERNEL_SIZE = 33


def local_variance(luma: Tensor, radius: int = 11) -> Tensor:
    """Variance of the luma around each pixel, ASTF eq. 5.

    Vᵢⱼ = mean(y²) − mean(y)² over the (2·radius + 1)² pixels around (i, j), of those only the ones
    that lie in the frame. It is summed up in float64: its error grows neither with the frame nor
    with the distance of its values from zero. What is infinite or not a number spoils the windows
    that see it and no others. Results and gradients are the same to the bit in every run, for any
    number of threads.

    Args:
        luma: (B, 1, H, W), any values; or RGB, (B, 3, H, W), whose luma by BT.601 is taken:
            0.299 R + 0.587 G + 0.114 B. float64, float32, bfloat16 or float16.
        radius: 0 to 63 pixels; the paper's window is 23×23, radius 11.

    Returns:
        (B, 1, H, W), contiguous, at least 0, in the dtype of ``luma``.

    Raises:
        TypeError: ``luma`` is not a floating-point tensor.
        ValueError: its shape or ``radius`` does not fit.
    """
    return frame_variance(luma, radius, name="luma").map.to(luma.dtype)


def astf_mask(previous: Tensor, current: Tensor, following: Tensor, radius: int = 11) -> Tensor:
    """Texture mask of a frame, ASTF eq. 4 to 6.

    mask = (V − q) / (p − q), with V the :func:`local_variance` of the current frame, p the largest
    and q the least variance of all three frames (of each image of a batch by itself). Three flat
    frames give 0. At the ends of a video a missing neighbour is the frame itself. The mask is a
    constant: no gradient flows through it.

    Args:
        previous: (B, C, H, W), C = 3 for RGB (in this order) or 1 for luma.
        current: the shape and device of ``previous``.
        following: the shape and device of ``previous``.
        radius: 0 to 63 pixels.

    Returns:
        (B, 1, H, W), contiguous, in [0, 1], in the dtype of ``current``.

    Raises:
        TypeError: an argument is not a floating-point tensor.
        ValueError: shapes or devices differ, or ``radius`` is out of its range.
    """
    _check_alike(current=current, previous=previous, following=following)
    variance, bounds = _with_neighbours(previous, current, following, radius)
    one, zero = variance.new_ones(()), variance.new_zeros(())
    fused = fuse(one.expand(variance.shape), zero.expand(variance.shape), variance, bounds)
    return fused.to(current.dtype)


def astf_fuse(
    detail: Tensor,
    smooth_previous: Tensor,
    smooth: Tensor,
    smooth_following: Tensor,
    *,
    radius: int = 11,
    sharpen: float = 0.0,
) -> Tensor:
    """Two enhancements of a frame in one: detail where there is texture, else smooth; ASTF eq. 3.

    fused = mask · detail + (1 − mask) · smooth, mask = :func:`astf_mask` of the three smooth
    frames, then :func:`unsharp_mask` with the amount ``sharpen``. Fusing and sharpening are one
    pass, and of the neighbours only the least and the largest variance is kept. For a whole video
    :class:`vqe_fast.nn.AdaptiveSpatialTemporalFusion` computes the variance of each frame once.

    Gradients flow to ``detail`` and ``smooth`` where they are blended. The mask is a constant, as
    in the paper: ``smooth`` gets no gradient through it, its neighbours get none at all.

    Args:
        detail: (B, C, H, W), C = 3 for RGB (in this order) or 1 for luma; the paper's output of
            EnhanceNet1. float64, float32, bfloat16 or float16; 16-bit frames are fused in float32.
        smooth_previous: the frame before ``smooth``; ``smooth`` itself for the first one.
        smooth: the paper's output of EnhanceNet2, the shape of ``detail``.
        smooth_following: the frame after ``smooth``; ``smooth`` itself for the last one.
        radius: of the windows, 0 to 63 pixels.
        sharpen: amount of sharpening, finite; 0 for none.

    Returns:
        (B, C, H, W), contiguous, in the wider dtype of ``detail`` and ``smooth``; not clamped.

    Raises:
        TypeError: an argument is not a floating-point tensor.
        ValueError: shapes or devices differ, or an option is out of its range.
    """
    _check_alike(
        detail=detail,
        smooth_previous=smooth_previous,
        smooth=smooth,
        smooth_following=smooth_following,
    )
    variance, bounds = _with_neighbours(smooth_previous, smooth, smooth_following, radius)
    return fuse(detail, smooth, variance, bounds, sharpen)


def unsharp_mask(frames: Tensor, amount: float, kernel_size: int = 3, sigma: float = 0.8) -> Tensor:
    """Sharpens: frames + amount · (frames − blurred), blurred by a Gaussian.

    Beyond the border, pixels are mirrored at the outermost ones, as ``cv2.GaussianBlur`` does; the
    default σ is OpenCV's for three taps.

    Args:
        frames: (B, C, H, W), any values; float64, float32, bfloat16 or float16.
        amount: finite; 0 leaves the frames as they are, −1 gives the blurred ones.
        kernel_size: taps along each side, odd, 1 to 33.
        sigma: standard deviation of the Gaussian in pixels.

    Returns:
        (B, C, H, W), contiguous, in the dtype of ``frames``; not clamped.

    Raises:
        TypeError: ``frames`` is not a floating-point tensor.
        ValueError: its shape or an option does not fit.
    """
    _check_frames("frames", frames)
    kernel_size = check_unsharp_options(amount, kernel_size, sigma)
    if not use_kernel("fusion", frames):
        return reference.unsharp_mask(frames, amount, kernel_size, sigma)
    taps = gaussian_taps(kernel_size, sigma)
    sharpened: Tensor = _unsharp(frames, amount, taps, False)
    return sharpened


def frame_variance(frames: Tensor, radius: int = 11, *, name: str = "frames") -> FrameVariance:
    """The :func:`local_variance` of frames and its bounds: what :func:`fuse` needs of each frame.

    Args:
        frames: (B, C, H, W), C = 3 for RGB or 1 for luma.
        radius: 0 to 63 pixels.
        name: of ``frames`` in error messages.

    Raises:
        TypeError: ``frames`` is not a floating-point tensor.
        ValueError: its shape or ``radius`` does not fit.
    """
    _check_colours(name, frames)
    radius = check_radius(radius)
    if not use_kernel("fusion", frames):
        return reference.fusion.frame_variance(frames, radius)
    return FrameVariance(*_variance(frames, [frames], radius))


def fuse(
    detail: Tensor, smooth: Tensor, variance: Tensor, bounds: Tensor, sharpen: float = 0.0
) -> Tensor:
    """:func:`astf_fuse` with what is known of the variances.

    Args:
        detail: (B, C, H, W).
        smooth: (B, C, H, W).
        variance: (B, 1, H, W), the map of ``smooth``'s :func:`frame_variance`.
        bounds: (B, 2), the ``common_bounds`` of the three frames.
        sharpen: amount of sharpening, finite; 0 for none.

    Raises:
        TypeError: ``detail`` or ``smooth`` is not a floating-point tensor.
        ValueError: ``sharpen`` is not finite.
    """
    check_tensor("detail", detail)
    check_tensor("smooth", smooth)
    check_finite("sharpen", sharpen)
    dtype = torch.promote_types(detail.dtype, smooth.dtype)
    detail, smooth = detail.to(dtype), smooth.to(dtype)
    computed = torch.promote_types(dtype, torch.float32)
    variance, bounds = variance.detach().to(computed), bounds.to(computed)
    if not use_kernel("fusion", detail, smooth):
        return reference.fusion.fuse(detail, smooth, variance, bounds, sharpen)
    fused: Tensor = _fuse(detail, smooth, variance, bounds, sharpen, gaussian_taps(3, 0.8))
    return fused


def check_radius(radius: int) -> int:
    """The radius as an int; ValueError for one out of its range."""
    return whole_number("radius", radius, 0, MAX_RADIUS)


def check_unsharp_options(amount: float, kernel_size: int, sigma: float) -> int:
    """The kernel size as an int; ValueError for a wrong option of :func:`unsharp_mask`."""
    check_finite("amount", amount)
    check_positive("sigma", sigma)
    return odd_number("kernel_size", kernel_size, MAX_KERNEL_SIZE)


def _with_neighbours(
    previous: Tensor, current: Tensor, following: Tensor, radius: int
) -> tuple[Tensor, Tensor]:
    """The map of the current frame and the bounds of all three; a frame that comes twice, once."""
    radius = check_radius(radius)
    frames = [current]
    for neighbour in (previous, following):
        if all(neighbour is not frame for frame in frames):
            frames.append(neighbour)
    if not use_kernel("fusion", *frames):
        found = [reference.fusion.frame_variance(frame.detach(), radius) for frame in frames]
        return found[0].map, common_bounds(*(variance.bounds for variance in found))
    dtype = functools.reduce(torch.promote_types, (frame.dtype for frame in frames))
    own, *others = (frame.detach().to(dtype) for frame in frames)
    variance, bounds = _variance(own, others or [own], radius)
    return variance, bounds


def _check_frames(name: str, frames: object) -> None:
    check_tensor(name, frames)
    assert isinstance(frames, Tensor)
    if frames.dim() != 4 or 0 in frames.shape[1:]:
        raise ValueError(f"{name} must be (B, C, H, W), not empty, got {tuple(frames.shape)}")


def _check_colours(name: str, frames: object) -> None:
    _check_frames(name, frames)
    assert isinstance(frames, Tensor)
    if frames.shape[1] not in (1, 3):
        raise ValueError(f"{name} must have 1 channel or 3, got {tuple(frames.shape)}")


def _check_alike(**frames: object) -> None:
    """Frames of one shape on one device; the first one is the measure."""
    (first_name, first), *others = frames.items()
    _check_colours(first_name, first)
    assert isinstance(first, Tensor)
    for name, other in others:
        check_tensor(name, other)
        assert isinstance(other, Tensor)
        if other.shape != first.shape:
            raise ValueError(
                f"{name} must have the shape of {first_name}, {tuple(first.shape)}; "
                f"got {tuple(other.shape)}"
            )
        if other.device != first.device:
            raise ValueError(
                f"{name} must be on {first.device} like {first_name}; got {other.device}"
            )


def _computed_dtype(frames: Tensor) -> torch.dtype:
    return torch.promote_types(frames.dtype, torch.float32)


def _fake_variance(frames: Tensor, neighbours: list[Tensor], radius: int) -> tuple[Tensor, Tensor]:
    batch, _, height, width = frames.shape
    dtype = _computed_dtype(frames)
    map = frames.new_empty((batch, 1, height, width), dtype=dtype)
    return map, frames.new_empty((batch, 2), dtype=dtype)


def _fake_variance_backward(grad_output: Tensor, frames: Tensor, radius: int) -> Tensor:
    return frames.new_empty(frames.shape, dtype=_computed_dtype(frames))


def _setup_variance(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    frames, _, ctx.radius = inputs
    ctx.save_for_backward(frames)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward_variance(ctx, grad_output: Tensor | None, _: None):  # type: ignore[no-untyped-def]
    (frames,) = ctx.saved_tensors
    if grad_output is None:
        return (None,) * 3
    if wants_reference(grad_output):

        def variance(frames: Tensor) -> Tensor:
            return reference.fusion.frame_variance(frames, ctx.radius).map

        return *reference_gradients(variance, (frames,), (True,), grad_output), None, None
    gradient = torch.ops.vqe_fast.local_variance_backward(grad_output, frames, ctx.radius)
    return gradient.to(frames.dtype), None, None


def _fake_fuse(detail, smooth, variance, bounds, amount, taps):  # type: ignore[no-untyped-def]
    return detail.new_empty(detail.shape)


def _fake_fuse_backward(  # type: ignore[no-untyped-def]
    grad_output, variance, bounds, amount, taps, needed
):
    return tuple(grad_output.new_empty(grad_output.shape if need else 0) for need in needed)


def _setup_fuse(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *_, variance, bounds, ctx.amount, ctx.taps = inputs
    ctx.save_for_backward(variance, bounds)


def _backward_fuse(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    needed = list(ctx.needs_input_grad[:2])
    gradients = _fuse_backward(grad_output, *ctx.saved_tensors, ctx.amount, ctx.taps, needed)
    gradients = (
        gradient if need else None for gradient, need in zip(gradients, needed, strict=True)
    )
    return *gradients, None, None, None, None


def _setup_fuse_backward(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, variance, bounds, ctx.amount, ctx.taps, ctx.needed = inputs
    ctx.save_for_backward(variance, bounds)


# What is blended is linear: fusing takes the gradients of gradients where fusing had taken frames.
def _backward_fuse_backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
    pairs = list(zip(grads, ctx.needed, strict=True))
    known = next(grad for grad, need in pairs if need)
    frames = (grad if need else torch.zeros_like(known) for grad, need in pairs)
    gradient = _fuse(*frames, *ctx.saved_tensors, ctx.amount, ctx.taps)
    return gradient, None, None, None, None, None


def _fake_unsharp(frames: Tensor, amount: float, taps: list[float], transposed: bool) -> Tensor:
    return frames.new_empty(frames.shape)


def _setup_unsharp(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, *ctx.filter, ctx.transposed = inputs


def _backward_unsharp(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    gradient = _unsharp(grad_output, *ctx.filter, not ctx.transposed)
    return gradient, None, None, None


_variance = differentiable("local_variance", _setup_variance, _backward_variance)
_fuse = differentiable("astf_fuse", _setup_fuse, _backward_fuse)
_fuse_backward = differentiable("astf_fuse_backward", _setup_fuse_backward, _backward_fuse_backward)
_unsharp = differentiable("unsharp_mask", _setup_unsharp, _backward_unsharp)

if _library.cpu_problem is None:
    for _name, _fake in (
        ("local_variance", _fake_variance),
        ("local_variance_backward", _fake_variance_backward),
        ("astf_fuse", _fake_fuse),
        ("astf_fuse_backward", _fake_fuse_backward),
        ("unsharp_mask", _fake_unsharp),
    ):
        torch.library.register_fake(f"vqe_fast::{_name}", _fake)
