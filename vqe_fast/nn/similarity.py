"""SSIM's and MS-SSIM's losses as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from torch import Tensor, nn

from vqe_fast.ops import ms_ssim_loss, ssim_loss, ssim_mse_loss
from vqe_fast.ops.ssim import check_mse_options, check_multiscale_options, check_options
from vqe_fast.reference.ssim import MSSSIMOptions, SSIMOptions


class _SimilarityLoss(nn.Module):
    """A loss made of SSIM, with its options."""

    function: Callable[..., Tensor]

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two images of one shape."""
        return type(self).function(input, target, **self.options)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class _WeightedLoss(_SimilarityLoss):
    """One that takes a map of weights."""

    def forward(self, input: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of two images of one shape, times the weight of each pixel if it is given."""
        return type(self).function(input, target, weight=weight, **self.options)


class SSIMLoss(_WeightedLoss):
    """SSIM loss, 1 − SSIM of two images; see :func:`vqe_fast.ops.ssim_loss`.

    Args:
        **options: those of :func:`vqe_fast.ops.ssim`.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option is out of its range.
    """

    function = staticmethod(ssim_loss)

    def __init__(self, **options: Unpack[SSIMOptions]) -> None:
        check_options(**options)
        super().__init__(**options)


class SSIMMSELoss(_WeightedLoss):
    """α·(1 − SSIM) + (1 − α)·MSE, CAR-CNN eq. 7; see :func:`vqe_fast.ops.ssim_mse_loss`.

    Args:
        alpha: weight of the SSIM loss, 0 to 1.
        **options: those of :func:`vqe_fast.ops.ssim`.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option is out of its range.
    """

    function = staticmethod(ssim_mse_loss)

    def __init__(self, alpha: float = 0.79, **options: Unpack[SSIMOptions]) -> None:
        check_mse_options(alpha, **options)
        super().__init__(alpha=alpha, **options)


class MSSSIMLoss(_SimilarityLoss):
    """MS-SSIM loss, 1 − MS-SSIM of two images; see :func:`vqe_fast.ops.ms_ssim_loss`.

    Args:
        **options: those of :func:`vqe_fast.ops.ms_ssim`.

    Raises:
        TypeError: an option is unknown.
        ValueError: an option is out of its range.
    """

    function = staticmethod(ms_ssim_loss)

    def __init__(self, **options: Unpack[MSSSIMOptions]) -> None:
        check_multiscale_options(**options)
        super().__init__(**options)
