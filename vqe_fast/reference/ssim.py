"""SSIM (Wang et al. 2004), MS-SSIM (Wang et al. 2003) and their losses, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict, Unpack

import torch
from torch import Tensor
from torch.nn import functional

from vqe_fast.reference._reduction import reduced

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, the finest first (Wang 2003, §3.2)."""


class SSIMOptions(TypedDict, total=False):
    """The options of :func:`vqe_fast.ops.ssim`."""

    data_range: float
    window_size: int
    sigma: float
    window: str
    k1: float
    k2: float
    padding: str
    reduction: str


class MSSSIMOptions(TypedDict, total=False):
    """The options of :func:`vqe_fast.ops.ms_ssim`."""

    data_range: float
    window_size: int
    sigma: float
    window: str
    k1: float
    k2: float
    weights: Sequence[float]
    reduction: str


def as_batch(images: Tensor) -> Tensor:
    """Images (…, H, W) as (B, C, H, W); those of other than four dimensions as (B, 1, H, W)."""
    return images if images.dim() == 4 else images.reshape(-1, 1, *images.shape[-2:])


def of_windows(weight: Tensor, window_size: int, padding: str) -> Tensor:
    """The weights of the pixels in the middle of each window; a side of 1 stays as it is."""
    margin = window_size // 2 if padding == "valid" else 0
    for side in (-2, -1):
        if margin > 0 and weight.dim() >= -side and weight.shape[side] > 1:
            weight = weight.narrow(side, margin, weight.shape[side] - 2 * margin)
    return weight


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

    16-bit images are computed, and their maps returned, in float32. Images are (B, C, H, W), or
    (B, C, T, H, W) for ``valid`` windows that are as long as they are wide; where T is less than
    that, each frame has its own.
    """
    if input.element_size() < 4:
        input, target = input.float(), target.float()
    offsets = torch.arange(window_size, dtype=input.dtype, device=input.device)
    window = torch.exp(-((offsets - window_size // 2) ** 2) / (2 * sigma**2))
    window = window / window.sum()
    # Variances do not change with a constant, but far from zero they lose their digits.
    sides = tuple(range(2, input.dim()))
    shift_x = input.detach().mean(sides, keepdim=True)
    shift_y = target.detach().mean(sides, keepdim=True)
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
    """Sums of each map over windows, weighted along each of their sides by ``window``.

    Together the maps are several channels in rows one after the other: convolutions of float32 for
    which PyTorch has a kernel of its own on a GPU. cuDNN's, for one channel or channels last, takes
    TF32 unless told otherwise, and too few digits are left of a variance.
    """
    stacked = torch.cat(tuple(maps), dim=1).contiguous()
    channels = stacked.shape[1]
    taps = window.expand(channels, 1, 1, -1)
    if stacked.dim() == 4:
        rows = functional.conv2d(stacked, taps, groups=channels)
        return functional.conv2d(rows, taps.mT, groups=channels).chunk(len(maps), dim=1)
    if stacked.shape[2] >= len(window):
        frames = stacked.flatten(3)  # each a row
        frames = functional.conv2d(frames, taps.mT, groups=channels)
        stacked = frames.unflatten(3, stacked.shape[3:])
    frames = stacked.transpose(1, 2)
    rows = functional.conv2d(frames.flatten(0, 1).contiguous(), taps, groups=channels)
    blurred = functional.conv2d(rows, taps.mT, groups=channels)
    blurred = blurred.reshape(*frames.shape[:2], *blurred.shape[1:])
    return blurred.transpose(1, 2).chunk(len(maps), dim=1)


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
    """Structural similarity; see :func:`vqe_fast.ops.ssim`."""
    options: SSIMOptions = {
        "data_range": data_range,
        "window_size": window_size,
        "sigma": sigma,
        "window": window,
        "k1": k1,
        "k2": k2,
        "padding": padding,
    }
    similarity = _map(input, target, options)
    if weight is not None:
        weight = of_windows(weight, window_size, padding)
    value = reduced(similarity, reduction, weight).to(_dtype(input))
    return (value, similarity.to(_dtype(input))) if full else value


def ssim_loss(
    input: Tensor, target: Tensor, *, weight: Tensor | None = None, **options: Unpack[SSIMOptions]
) -> Tensor:
    """1 − SSIM; see :func:`vqe_fast.ops.ssim_loss`."""
    if weight is not None:
        weight = of_windows(weight, options.get("window_size", 11), options.get("padding", "valid"))
    loss = reduced(1 - _map(input, target, options), options.get("reduction", "mean"), weight)
    return loss.to(_dtype(input))


def ssim_mse_loss(
    input: Tensor,
    target: Tensor,
    alpha: float = 0.79,
    *,
    weight: Tensor | None = None,
    **options: Unpack[SSIMOptions],
) -> Tensor:
    """α·(1 − SSIM) + (1 − α)·MSE; see :func:`vqe_fast.ops.ssim_mse_loss`."""
    dtype = _dtype(input)
    input, target = _computed(input), _computed(target)
    dissimilarity, squares = 1 - _map(input, target, options), (input - target).square()
    reduction = options.get("reduction", "mean")
    if reduction == "mean" and weight is None:  # of windows and of pixels, which may be more
        dissimilarity, squares = dissimilarity.mean(), squares.mean()
    loss = alpha * dissimilarity + (1 - alpha) * squares
    return reduced(loss, reduction, weight).to(dtype)


def _dtype(images: Tensor) -> torch.dtype:
    """That of results; integers are computed in float32."""
    return images.dtype if images.is_floating_point() else torch.float32


def _computed(images: Tensor) -> Tensor:
    """Integers and 16-bit values as float32."""
    return images if images.dtype == torch.float64 else images.float()


def _map(input: Tensor, target: Tensor, options: SSIMOptions) -> Tensor:
    """SSIM of each window, (…, H', W'), float32 or float64."""
    input, target = _computed(input), _computed(target)
    data_range = options.get("data_range", 1.0)
    luminance, structure = similarity_parts(
        as_batch(input),
        as_batch(target),
        window_size=options.get("window_size", 11),
        sigma=effective_sigma(options.get("sigma", 1.5), options.get("window", "gaussian")),
        c1=(options.get("k1", 0.01) * data_range) ** 2,
        c2=(options.get("k2", 0.03) * data_range) ** 2,
        padding=options.get("padding", "valid"),
    )
    similarity = luminance * structure
    return similarity.reshape(*input.shape[:-2], *similarity.shape[-2:])


def effective_sigma(sigma: float, window: str) -> float:
    """The standard deviation of a window: a Gaussian wide enough has equal taps.

    Not an infinite one: graphs of ``torch.export`` are JSON, which has no infinity.
    """
    return 1e18 if window == "uniform" else sigma


def multiscale(
    means: Callable[[Tensor, Tensor, bool], Tensor],
    input: Tensor,
    target: Tensor,
    weights: Sequence[float],
) -> Tensor:
    """MS-SSIM of each plane from what SSIM is at each scale.

    Args:
        means: (input, target, whether without luminance) → mean over each plane, (B, C).
        input: (B, C, H, W), or (B, C, T, H, W), whose planes are volumes.
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

    As ``avg_pool2d``, in a third of its time on a CPU; (B, C, T, H, W) as ``avg_pool3d``.
    """
    if image.dim() == 5:
        if image.shape[2] % 2:
            image = functional.pad(image, (0, 0, 0, 0, 1, 0))
        image = (image[:, :, ::2] + image[:, :, 1::2]) / 2
    height, width = image.shape[-2:]
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
    window: str = "gaussian",
    k1: float = 0.01,
    k2: float = 0.03,
    weights: Sequence[float] = MS_SSIM_WEIGHTS,
    reduction: str = "mean",
) -> Tensor:
    """Multi-scale structural similarity; see :func:`vqe_fast.ops.ms_ssim`."""
    options: MSSSIMOptions = {
        "data_range": data_range,
        "window_size": window_size,
        "sigma": sigma,
        "window": window,
        "k1": k1,
        "k2": k2,
        "weights": weights,
    }
    return reduced(_planes(input, target, options), reduction).to(_dtype(input))


def ms_ssim_loss(input: Tensor, target: Tensor, **options: Unpack[MSSSIMOptions]) -> Tensor:
    """1 − MS-SSIM; see :func:`vqe_fast.ops.ms_ssim_loss`."""
    loss = 1 - _planes(input, target, options)
    return reduced(loss, options.get("reduction", "mean")).to(_dtype(input))


def _planes(input: Tensor, target: Tensor, options: MSSSIMOptions) -> Tensor:
    """MS-SSIM of each plane, the leading dimensions of the images, float32 or float64."""
    data_range = options.get("data_range", 1.0)
    c1 = (options.get("k1", 0.01) * data_range) ** 2
    c2 = (options.get("k2", 0.03) * data_range) ** 2
    window_size = options.get("window_size", 11)
    sigma = effective_sigma(options.get("sigma", 1.5), options.get("window", "gaussian"))

    def means(x: Tensor, y: Tensor, without_luminance: bool) -> Tensor:
        luminance, structure = similarity_parts(
            x, y, window_size=window_size, sigma=sigma, c1=c1, c2=c2
        )
        return (structure if without_luminance else luminance * structure).mean((2, 3))

    x, y = as_batch(_computed(input)), as_batch(_computed(target))
    values = multiscale(means, x, y, options.get("weights", MS_SSIM_WEIGHTS))
    return values.reshape(input.shape[:-2])
