"""SSIM and MS-SSIM of clips under windows that reach over time as well, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from torch import Tensor

from vqe_fast.ops._autocast import without_autocast
from vqe_fast.ops.ssim import check_multiscale_options, check_options, checked_images
from vqe_fast.reference.ssim import (
    MS_SSIM_WEIGHTS,
    MSSSIMOptions,
    SSIMOptions,
    multiscale,
    similarity_parts,
)


def ssim_of_volumes(input: Tensor, target: Tensor, **options: Unpack[SSIMOptions]) -> Tensor:
    """SSIM under windows of ``window_size`` frames, rows and columns: the mean of each volume.

    Args:
        input: (B, C, T, H, W); with fewer frames than ``window_size`` each has its own windows.
        target: the same shape.
        **options: those of :func:`vqe_fast.ops.ssim` but padding and reduction.

    Returns:
        (B, C).
    """
    settings, data_range = check_options(**options), options.get("data_range", 1.0)
    input, target = checked_images(input, target, data_range, settings.smallest, "this window")
    with without_autocast(input.device.type):
        return _measure(settings.window_size, settings.constants)(input, target, False).to(
            input.dtype
        )


def ms_ssim_of_volumes(input: Tensor, target: Tensor, **options: Unpack[MSSSIMOptions]) -> Tensor:
    """MS-SSIM of volumes, (B, C), as :func:`ssim_of_volumes`; T is halved as H and W are.

    Where T is odd a frame of zeros goes before the first, as rows and columns do elsewhere; with n
    weights T must exceed 2ⁿ⁻².
    """
    settings, data_range = check_multiscale_options(**options), options.get("data_range", 1.0)
    weights = options.get("weights", MS_SSIM_WEIGHTS)
    scales, halvings = f"{len(weights)} scales", len(weights) - 1
    smallest = (settings.window_size - 1) * 2**halvings + 1
    input, target = checked_images(input, target, data_range, smallest, scales)
    if 2 * input.shape[2] <= 2**halvings:
        raise ValueError(
            f"clips must have more than {2**halvings // 2} frames for {scales}, "
            f"got {input.shape[2]}; spatial_dims=2 takes frames one by one"
        )
    dtype = input.dtype
    if input.element_size() < 4:
        input, target = input.float(), target.float()
    measure = _measure(settings.window_size, settings.constants)
    with without_autocast(input.device.type):
        return multiscale(measure, input, target, weights).to(dtype)


def _measure(
    window_size: int, constants: Sequence[float]
) -> Callable[[Tensor, Tensor, bool], Tensor]:
    """(input, target, whether without luminance) → mean of SSIM over each volume."""
    sigma, c1, c2 = constants

    def means(x: Tensor, y: Tensor, without_luminance: bool) -> Tensor:
        luminance, structure = similarity_parts(
            x, y, window_size=window_size, sigma=sigma, c1=c1, c2=c2
        )
        return (structure if without_luminance else luminance * structure).mean((2, 3, 4))

    return means
