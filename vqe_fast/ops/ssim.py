"""SSIM, MS-SSIM and their losses as fused operators."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Unpack, overload

import torch
from torch import Tensor

from vqe_fast import reference
from vqe_fast._whole_number import odd_number
from vqe_fast.ops import _library
from vqe_fast.ops._autocast import in_one_dtype, without_autocast
from vqe_fast.ops._autograd import differentiable, reference_gradients, scaled, wants_reference
from vqe_fast.ops._backend import use_kernel
from vqe_fast.ops._checks import check_constant, check_pair, check_positive, check_reduction
from vqe_fast.ops._weight import check_weight
from vqe_fast.reference._reduction import reduced
from vqe_fast.reference.ssim import (
    MS_SSIM_WEIGHTS,
    MSSSIMOptions,
    SSIMOptions,
    as_batch,
    effective_sigma,
    multiscale,
    of_windows,
    similarity_parts,
)

MAX_WINDOW_SIZE = 33
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16)
WITHOUT_LUMINANCE = -1.0
"""In place of c1: only contrast times structure."""


@overload
def ssim(
    input: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    full: Literal[False] = False,
    **options: Unpack[SSIMOptions],
) -> Tensor: ...
@overload
def ssim(
    input: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    full: Literal[True],
    **options: Unpack[SSIMOptions],
) -> tuple[Tensor, Tensor]: ...
def ssim(
    input: Tensor,
    target: Tensor,
    *,
    data_range: float = 1.0,
    window_size: int = 11,
    sigma: float = 1.5,
    window: str = "gaussian",
    k1: float = 0.01,
    k2: float = 0.03,
    padding: str = "valid",
    reduction: str = "mean",
    weight: Tensor | None = None,
    full: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Structural similarity under a Gaussian window (Wang et al. 2004), per channel.

    SSIM = (2·μx·μy + C1)(2·σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)),
    C1 = (k1·range)², C2 = (k2·range)², with biased variances. An image with itself gives exactly 1.

    The conventions are those of pytorch-msssim (``valid``), of scikit-image with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False`` less its border (``valid``),
    and of fused-ssim (``same``); ``docs/coming-from.md`` has what other calls become. Gradients
    flow to ``input`` and ``target``, whichever asks for one. 16-bit images are computed in float32;
    under autocast the result is float32.

    Args:
        input: (B, C, H, W), values in [0, ``data_range``]; float64, float32, bfloat16 or float16.
            Other leading dimensions are planes as well: (C, H, W), or the frames of clips,
            (B, C, T, H, W) and (B, T, C, H, W) alike. Integers are taken with their
            ``data_range`` and computed in float32.
        target: the shape and device of ``input``; of two dtypes the wider one is used.
        data_range: the difference between the largest and the smallest possible value.
        window_size: side of the window in pixels, odd, 1 to 33.
        sigma: standard deviation of the Gaussian in pixels.
        window: ``"gaussian"``, or ``"uniform"`` for the same weight everywhere.
        k1: stabiliser of the means.
        k2: stabiliser of the variances. Unbiased variances of a uniform window of n pixels, such as
            scikit-image has unless told otherwise, are k2·√((n − 1)/n).
        padding: ``"valid"`` takes only windows that lie in the image, ``"same"`` one around each
            pixel, zeros outside the image.
        reduction: ``"mean"``, ``"sum"``, or ``"none"`` for the map.
        weight: w of each pixel, a tensor that broadcasts to the shape of ``input``, of any real
            dtype; a window has that of the pixel in its middle. The result is the mean (over the
            number of windows, not over the sum of w), the sum or the map of w·SSIM.
        full: also return the map, without weights.

    Returns:
        A scalar, or (B, C, H', W') with H' = H when ``"same"``, else H − window_size + 1; the
        leading dimensions are those of ``input``. With ``full`` the scalar and the map.

    Raises:
        TypeError: an argument is not a real tensor.
        ValueError: shapes or devices differ, the images are smaller than the window, ``weight``
            does not broadcast, integers have no ``data_range``, or an option is out of its range.
    """
    options: SSIMOptions = {
        "data_range": data_range,
        "window_size": window_size,
        "sigma": sigma,
        "window": window,
        "k1": k1,
        "k2": k2,
        "padding": padding,
        "reduction": reduction,
    }
    blend = _Blend(offset=1, weight=-1)
    if not full:
        return _ssim(reference.ssim, input, target, blend, options, weight)
    check_reduction(reduction, ("mean", "sum"))
    options["reduction"] = "none"
    similarity = _ssim(reference.ssim, input, target, blend, options)
    if weight is not None:
        check_weight(weight, input.shape, input.device)
        weight = of_windows(weight, window_size, padding)
    return reduced(similarity, reduction, weight), similarity


def ssim_loss(
    input: Tensor, target: Tensor, *, weight: Tensor | None = None, **options: Unpack[SSIMOptions]
) -> Tensor:
    """1 − SSIM, in [0, 2]; the arguments, result and errors are those of :func:`ssim`.

    There is no ``full``; with a ``weight`` the loss is w·(1 − SSIM).
    """
    blend = _Blend(offset=0, weight=1)
    return _ssim(reference.ssim_loss, input, target, blend, options, weight)


def ssim_mse_loss(
    input: Tensor,
    target: Tensor,
    alpha: float = 0.79,
    *,
    weight: Tensor | None = None,
    **options: Unpack[SSIMOptions],
) -> Tensor:
    """α·(1 − SSIM) + (1 − α)·MSE in one pass, CAR-CNN eq. 7.

    The paper has images in [0, 1]; with another ``data_range`` the MSE has that range squared.

    Args:
        input: (B, C, H, W), as for :func:`ssim`.
        target: the same shape.
        alpha: weight of the SSIM loss, 0 to 1.
        weight: of each pixel's loss, as for :func:`ssim`.
        **options: those of :func:`ssim`; ``reduction="none"`` or ``"sum"`` and a ``weight`` need
            ``padding="same"``, because only then SSIM has a value for each pixel.

    Returns:
        A scalar, or (B, C, H, W).

    Raises:
        TypeError: as :func:`ssim`.
        ValueError: as :func:`ssim`, or ``alpha`` is not in 0 to 1.
    """
    check_mse_options(alpha, weight is not None, **options)
    in_pytorch = functools.partial(reference.ssim_mse_loss, alpha=alpha)
    blend = _Blend(offset=0, weight=alpha, mse_weight=1 - alpha)
    return _ssim(in_pytorch, input, target, blend, options, weight)


def ms_ssim(
    input: Tensor,
    target: Tensor,
    *,
    data_range: float = 1.0,
    window_size: int = 11,
    sigma: float = 1.5,
    window: str = "gaussian",
    k1: float = 0.01,
    k2: float = 0.03,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    reduction: str = "mean",
) -> Tensor:
    """Multi-scale structural similarity (Wang et al. 2003, eq. 7), per channel.

    MS-SSIM = l(M)^w(M) · Π cs(j)^w(j) over the scales j, each half the size of the one before
    (2×2 means), where cs is the mean of contrast times structure and l·cs, at the coarsest scale
    M, that of SSIM. The conventions are those of pytorch-msssim: ``valid`` windows, a negative
    factor counts as 0 (with gradient 0, where others give NaN).

    Args:
        input: (B, C, H, W), as for :func:`ssim`; with n weights the smaller side must exceed
            (window_size − 1)·2ⁿ⁻¹.
        target: the same shape.
        data_range: the difference between the largest and the smallest possible value.
        window_size: side of the window in pixels, odd, 1 to 33.
        sigma: standard deviation of the Gaussian in pixels.
        window: ``"gaussian"``, or ``"uniform"`` for the same weight everywhere.
        k1: stabiliser of the means.
        k2: stabiliser of the variances.
        weights: the exponent of each scale, the finest first; fewer scales suit small images.
        reduction: ``"mean"``, ``"sum"``, or ``"none"`` for the value of each plane.

    Returns:
        A scalar, or (B, C), the leading dimensions of ``input``.

    Raises:
        TypeError: as :func:`ssim`.
        ValueError: as :func:`ssim`, the images are too small for the scales, or a weight is
            negative.
    """
    options: MSSSIMOptions = {
        "data_range": data_range,
        "window_size": window_size,
        "sigma": sigma,
        "window": window,
        "k1": k1,
        "k2": k2,
        "weights": weights,
        "reduction": reduction,
    }
    return _ms_ssim(reference.ms_ssim, input, target, _Blend(offset=1, weight=-1), options)


def ms_ssim_loss(input: Tensor, target: Tensor, **options: Unpack[MSSSIMOptions]) -> Tensor:
    """1 − MS-SSIM, in [0, 1]; the arguments, result and errors are those of :func:`ms_ssim`."""
    blend = _Blend(offset=0, weight=1)
    return _ms_ssim(reference.ms_ssim_loss, input, target, blend, options)


def ssim_of_planes(input: Tensor, target: Tensor, **options: Unpack[SSIMOptions]) -> Tensor:
    """The mean of :func:`ssim` over each plane, (B, C) of images (B, C, H, W), without a map."""
    settings, blend = check_options(**options), _Blend(offset=1, weight=-1)
    data_range = options.get("data_range", 1.0)
    input, target = checked_images(input, target, data_range, settings.smallest, "this window")
    if use_kernel("ssim", input, target):
        return _mean(input, target, settings, blend, per_plane=True).to(input.dtype)
    options["reduction"] = "none"
    return _ssim(reference.ssim, input, target, blend, options).mean((2, 3))


class _Settings(NamedTuple):
    """The window and the constants."""

    window_size: int
    sigma: float
    c1: float
    c2: float
    same: bool

    @property
    def smallest(self) -> int:
        """The smallest side of an image that has a window."""
        return 1 if self.same else self.window_size

    @property
    def constants(self) -> list[float]:
        """Those of the schemas."""
        return [self.sigma, self.c1, self.c2]


class _Blend(NamedTuple):
    """offset + weight·(1 − SSIM) + mse_weight·MSE."""

    offset: float
    weight: float
    mse_weight: float = 0


def check_options(
    data_range: float = 1.0,
    window_size: int = 11,
    sigma: float = 1.5,
    window: str = "gaussian",
    k1: float = 0.01,
    k2: float = 0.03,
    padding: str = "valid",
    reduction: str = "mean",
) -> _Settings:
    """The options of :func:`ssim` as the operators take them; ValueError for a wrong one."""
    # Of any other kind or size they are looked at more closely.
    for value in (data_range, sigma, k1, k2):
        if type(value) is not float or not 0 < value < math.inf:
            check_positive("data_range", data_range)
            check_positive("sigma", sigma)
            check_positive("k1", k1)
            check_positive("k2", k2)
            break
    window_size = odd_number("window_size", window_size, MAX_WINDOW_SIZE)
    if window not in ("gaussian", "uniform"):
        raise ValueError(f"window must be one of gaussian, uniform; got {window!r}")
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be one of valid, same; got {padding!r}")
    check_reduction(reduction)
    c1, c2 = (k1 * data_range) ** 2, (k2 * data_range) ** 2
    sigma = effective_sigma(sigma, window)
    return _Settings(window_size, sigma, c1, c2, padding == "same")


def check_mse_options(alpha: float, weighted: bool = False, **options: Unpack[SSIMOptions]) -> None:
    """As :func:`check_options`, for :func:`ssim_mse_loss`, with a map of weights or without."""
    check_constant("alpha", alpha)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in 0 to 1, got {alpha}")
    same, reduction = check_options(**options).same, options.get("reduction", "mean")
    if not same and (weighted or reduction != "mean"):
        asked = "a weight" if weighted else f"reduction {reduction!r}"
        raise ValueError(f"{asked} needs padding 'same': SSIM has no value at the border")


def check_multiscale_options(
    data_range: float = 1.0,
    window_size: int = 11,
    sigma: float = 1.5,
    window: str = "gaussian",
    k1: float = 0.01,
    k2: float = 0.03,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    reduction: str = "mean",
) -> _Settings:
    """As :func:`check_options`, for :func:`ms_ssim`."""
    if len(weights) == 0 or not all(0 <= weight < math.inf for weight in weights):
        raise ValueError(f"weights must be one or more finite numbers of at least 0, got {weights}")
    return check_options(data_range, window_size, sigma, window, k1, k2, "valid", reduction)


def checked_images(
    input: Tensor, target: Tensor, data_range: float, smallest: int, what_for: str
) -> tuple[Tensor, Tensor]:
    """The images in one floating-point dtype, float32 at least under autocast."""
    input, target = _floating("input", input, data_range), _floating("target", target, data_range)
    check_pair(input, target)
    shape = input.shape
    if len(shape) < 2:
        raise ValueError(f"input must be (B, C, H, W) or another (…, H, W), got {tuple(shape)}")
    if shape[-1] < smallest or shape[-2] < smallest:
        raise ValueError(
            f"input must be at least {smallest}×{smallest} for {what_for}, "
            f"got {shape[-2]}×{shape[-1]}, the last two sides of {tuple(shape)}"
        )
    return in_one_dtype(input, target)


def _floating(name: str, image: Tensor, data_range: float) -> Tensor:
    """Integers as float32; anything else as it is, for :func:`check_pair`."""
    if not isinstance(image, Tensor) or image.is_floating_point() or image.dtype not in _INTEGERS:
        return image
    if data_range == 1:
        raise ValueError(
            f"{name} of {image.dtype} needs its data_range, such as data_range=255 for 8 bits"
        )
    return image.float()


def _ssim(
    in_pytorch: Callable[..., Any],
    input: Tensor,
    target: Tensor,
    blend: _Blend,
    options: SSIMOptions,
    weight: Tensor | None = None,
) -> Tensor:
    settings = check_options(**options)
    reduction = options.get("reduction", "mean")
    if weight is not None:
        options = options.copy()
        options["reduction"] = "none"
        each = _ssim(in_pytorch, input, target, blend, options)
        check_weight(weight, input.shape, input.device)
        padding = "same" if settings.same else "valid"
        return reduced(each, reduction, of_windows(weight, settings.window_size, padding))
    data_range = options.get("data_range", 1.0)
    input, target = checked_images(input, target, data_range, settings.smallest, "this window")
    if not use_kernel("ssim", input, target):
        with without_autocast(input.device.type):
            computed: Tensor = in_pytorch(input, target, **options)
            return computed
    x, y = as_batch(input), as_batch(target)
    # The mean of nothing is NaN, its sum is not.
    if reduction == "mean" or (reduction == "sum" and input.numel() > 0):
        value = _mean(x, y, settings, blend, per_plane=False)
        if reduction == "sum":
            value = value * (x.shape[0] * x.shape[1] * _windows(x, settings))
        return value if value.dtype == input.dtype else value.to(input.dtype)
    similarity: Tensor = _map(x, y, settings.window_size, settings.constants, settings.same)
    result = (blend.offset + blend.weight) - blend.weight * similarity
    if blend.mse_weight != 0:
        result = result + blend.mse_weight * (x - y).to(result.dtype).square()
    result = result.reshape(*input.shape[:-2], *result.shape[-2:])
    return reduced(result, reduction).to(input.dtype)


def _ms_ssim(
    in_pytorch: Callable[..., Tensor],
    input: Tensor,
    target: Tensor,
    blend: _Blend,
    options: MSSSIMOptions,
) -> Tensor:
    settings = check_multiscale_options(**options)
    weights, data_range = options.get("weights", MS_SSIM_WEIGHTS), options.get("data_range", 1.0)
    smallest = (settings.window_size - 1) * 2 ** (len(weights) - 1) + 1
    input, target = checked_images(input, target, data_range, smallest, f"{len(weights)} scales")
    if not use_kernel("ssim", input, target):
        with without_autocast(input.device.type):
            return in_pytorch(input, target, **options)
    dtype, planes = input.dtype, input.shape[:-2]
    if input.element_size() < 4:
        input, target = input.float(), target.float()

    def means(x: Tensor, y: Tensor, without_luminance: bool) -> Tensor:
        chosen = settings._replace(c1=WITHOUT_LUMINANCE) if without_luminance else settings
        return _mean(x, y, chosen, _Blend(offset=1, weight=-1), per_plane=True)

    similarity = multiscale(means, as_batch(input), as_batch(target), weights).reshape(planes)
    values = (blend.offset + blend.weight) - blend.weight * similarity
    return reduced(values, options.get("reduction", "mean")).to(dtype)


def _windows(images: Tensor, settings: _Settings) -> int:
    """How many windows a plane has."""
    less = 0 if settings.same else settings.window_size - 1
    return (images.shape[2] - less) * (images.shape[3] - less)


def _reference(
    input: Tensor, target: Tensor, settings: _Settings, blend: _Blend, reduction: str
) -> Tensor:
    """The blend in plain PyTorch: ``"mean"``, ``"plane"`` or ``"none"`` for the map."""
    luminance, structure = similarity_parts(
        input,
        target,
        window_size=settings.window_size,
        sigma=settings.sigma,
        c1=settings.c1,
        c2=settings.c2,
        padding="same" if settings.same else "valid",
    )
    similarity = structure if settings.c1 < 0 else luminance * structure

    def reduced(values: Tensor) -> Tensor:
        if reduction == "none":
            return values
        return values.mean() if reduction == "mean" else values.mean((2, 3))

    result = blend.offset + blend.weight * reduced(1 - similarity)
    if blend.mse_weight != 0:
        result = result + blend.mse_weight * reduced((input - target) ** 2)
    return result


def _mean(
    input: Tensor, target: Tensor, settings: _Settings, blend: _Blend, per_plane: bool
) -> Tensor:
    # The gradient is computed along with the value: what it needs is at hand then.
    enabled = torch.is_grad_enabled()
    needed = enabled and input.requires_grad, enabled and target.requires_grad
    constants = [*settings.constants, *blend]
    choices = [int(settings.same), int(per_plane), int(needed[0]), int(needed[1])]
    value: Tensor = _mean_operator(input, target, settings.window_size, constants, choices)
    return value


def _computed_dtype(input: Tensor) -> torch.dtype:
    return torch.float64 if input.dtype == torch.float64 else torch.float32


def _new_gradients(input: Tensor, *needed: bool) -> tuple[Tensor, ...]:
    dtype = _computed_dtype(input)
    return tuple(input.new_empty(input.shape if need else 0, dtype=dtype) for need in needed)


def _fake_mean(input, target, window_size, constants, choices):  # type: ignore[no-untyped-def]
    _, per_plane, *needed = choices
    value = input.new_empty(input.shape[:2] if per_plane else (), dtype=_computed_dtype(input))
    return value, *_new_gradients(input, *needed)


def _setup_mean(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[:2])
    ctx.options = inputs[2:]


def _backward_mean(ctx, grad_value: Tensor):  # type: ignore[no-untyped-def]
    needed = ctx.needs_input_grad[:2]
    window_size, constants, (same, per_plane, *computed) = ctx.options
    if wants_reference(grad_value):
        sigma, c1, c2, *blended = constants
        settings, blend = _Settings(window_size, sigma, c1, c2, same), _Blend(*blended)

        def value(x: Tensor, y: Tensor) -> Tensor:
            return _reference(x, y, settings, blend, "plane" if per_plane else "mean")

        return *reference_gradients(value, ctx.saved_tensors, needed, grad_value), None, None, None
    # The gradients are this node's own until they are handed on, so they are scaled in place. One
    # thread takes them; who comes later, with retain_graph, gets new ones.
    gradients = vars(ctx).pop("kept", None)
    images = ctx.saved_tensors
    if gradients is None or tuple(computed) != needed:
        choices = [same, per_plane, *map(int, needed)]
        _, *gradients = torch.ops.vqe_fast.ssim_mean(*images, window_size, constants, choices)
    scale = grad_value[..., None, None] if per_plane else grad_value
    gradients = (
        scaled(gradient, scale).to(image.dtype) if need else None
        for gradient, image, need in zip(gradients, images, needed, strict=True)
    )
    return *gradients, None, None, None


def _fake_map(input, target, window_size, constants, same):  # type: ignore[no-untyped-def]
    less = 0 if same else window_size - 1
    *planes, height, width = input.shape
    shape = (*planes, height - less, width - less)
    return input.new_empty(shape, dtype=_computed_dtype(input))


def _fake_map_backward(  # type: ignore[no-untyped-def]
    grad_output, input, target, window_size, constants, choices
):
    return _new_gradients(input, *choices[1:])


def _setup_map(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[:2])
    _, _, ctx.window_size, ctx.constants, ctx.same = inputs


def _backward_map(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    images = ctx.saved_tensors
    needed = ctx.needs_input_grad[:2]
    if wants_reference(grad_output):
        sigma, c1, c2 = ctx.constants
        settings = _Settings(ctx.window_size, sigma, c1, c2, ctx.same)

        def similarity(x: Tensor, y: Tensor) -> Tensor:
            return _reference(x, y, settings, _Blend(1, -1), "none")

        return *reference_gradients(similarity, images, needed, grad_output), None, None, None
    gradients = torch.ops.vqe_fast.ssim_map_backward(
        grad_output, *images, ctx.window_size, ctx.constants, [ctx.same, *needed]
    )
    gradients = (
        gradient.to(image.dtype) if need else None
        for gradient, image, need in zip(gradients, images, needed, strict=True)
    )
    return *gradients, None, None, None


_mean_operator = differentiable("ssim_mean", _setup_mean, _backward_mean, keeps=True)
_map = differentiable("ssim_map", _setup_map, _backward_map)

if _library.cpu_problem is None:
    torch.library.register_fake("vqe_fast::ssim_mean", _fake_mean)
    torch.library.register_fake("vqe_fast::ssim_map", _fake_map)
    torch.library.register_fake("vqe_fast::ssim_map_backward", _fake_map_backward)
