"""QP modulation: channel gains by QP, and convolutions that take them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast._whole_number import whole_number
from vqe_fast.nn.kept import Kept
from vqe_fast.ops import qp_gains, qp_modulate
from vqe_fast.ops._checks import check_tensor
from vqe_fast.ops.modulation import LARGEST_QP, check_modulation, check_qps


class QPModulation(nn.Module):
    """QP modulation: activation(features) · softplus(W · one-hot(QP) + bias); PeQuENet §III-A-4.

    Parameters have the names, shapes and first values of ``nn.Linear(num_qps, channels)``, whose
    state dict loads. QPs between those of the columns of W are interpolated; see
    :func:`vqe_fast.ops.qp_gains`. Without gradients, gains of QPs given as numbers are kept.

    Args:
        num_qps: QPs that have a column of their own, 1 to 64.
        channels: C of the features.
        qps: those QPs, ascending in 0 to 63; the paper's 22, 27, 32, 37 for four and 0, 1, 2, …
            for other numbers unless they are given.

    Raises:
        ValueError: a number is out of its range, or ``qps`` does not fit.
    """

    def __init__(self, num_qps: int, channels: int, *, qps: Sequence[float] | None = None) -> None:
        super().__init__()
        num_qps = whole_number("num_qps", num_qps, 1, LARGEST_QP + 1)
        self.qps = check_qps(qps, num_qps)
        channels = whole_number("channels", channels, 1)
        bound = 1 / math.sqrt(num_qps)
        self.weight = nn.Parameter(torch.empty(channels, num_qps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        self._kept = Kept()

    def gains(self, qp: float | Tensor) -> Tensor:
        """The gains of QPs, a number or (), (B) or (B, h, w): (1, C), (B, C) or (B, C, h, w).

        Those of a number may be given again, and must not be changed.
        """

        def make() -> Tensor:
            return qp_gains(qp, self.weight.mT, self.bias, qps=self.qps)

        if isinstance(qp, bool) or not isinstance(qp, numbers.Real):
            return make()
        return self._kept.get(qp, (self.weight, self.bias), make)

    def forward(
        self, features: Tensor, qp: float | Tensor, activation: str | None = None
    ) -> Tensor:
        """Modulated features.

        Args:
            features: (B, C, H, W).
            qp: QPs of all images, of each, or a map for each that is no finer than the features.
            activation: of the features before the gains, as :func:`vqe_fast.ops.qp_modulate` has.

        Returns:
            (B, C, H, W).

        Raises:
            TypeError, ValueError: as :func:`vqe_fast.ops.qp_gains` and
                :func:`vqe_fast.ops.qp_modulate`.
        """
        return qp_modulate(features, self.gains(qp), activation=activation)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        channels, num_qps = self.weight.shape
        return f"{num_qps}, {channels}, qps={self.qps}"


def fold_qp(conv: nn.Conv2d, gains: Tensor) -> nn.Conv2d:
    """Folds gains into a convolution's weights: conv(x · gains) = folded(x).

    For a clip of one QP the modulation then costs nothing. An activation before the gains stays:
    conv(relu(x) · gains) = folded(relu(x)).

    Args:
        conv: a convolution of modulated features, with any settings.
        gains: (C) or (1, C), for the channels that ``conv`` takes.

    Returns:
        A new convolution with the same settings, dtype and device, in the same mode.

    Raises:
        TypeError: ``conv`` is not a ``Conv2d``, or ``gains`` not a floating-point tensor.
        ValueError: ``gains`` is not one number for each channel.
    """
    if not isinstance(conv, nn.Conv2d):
        raise TypeError(f"conv must be a Conv2d, got {type(conv).__name__}")
    check_tensor("gains", gains)
    if gains.shape not in ((conv.in_channels,), (1, conv.in_channels)):
        raise ValueError(
            f"gains must be one number for each of the {conv.in_channels} channels of conv, "
            f"got {tuple(gains.shape)}"
        )
    folded: nn.Conv2d = nn.utils.skip_init(
        nn.Conv2d,
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
        conv.bias is not None,
        conv.padding_mode,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
    )
    with torch.no_grad():
        folded.weight.copy_(_scaled_weight(conv, gains))
        if conv.bias is not None and folded.bias is not None:
            folded.bias.copy_(conv.bias)
    return folded.train(conv.training)


class QPModulatedConv2d(nn.Conv2d):
    """Convolution of modulated features: conv(activation(features) · gains).

    Has the arguments and the state dict of ``nn.Conv2d``. In eval mode, gains that all images
    share go into the weights, which costs next to nothing; results are the same to rounding.
    Without gradients, such weights are kept.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._kept = Kept()

    def forward(  # type: ignore[override]
        self,
        features: Tensor,
        gains: Tensor,
        *,
        activation: str | None = None,
        negative_slope: float = 0.01,
        inplace: bool = False,
    ) -> Tensor:
        """The convolution of :func:`vqe_fast.ops.qp_modulate` of the same arguments.

        Args:
            features: (B, C, H, W).
            gains: (B, C), (1, C), or a map; see :func:`vqe_fast.ops.qp_modulate`.
            activation: of the features before the gains.
            negative_slope: for ``"leaky_relu"``.
            inplace: whether ``features`` may be overwritten.

        Returns:
            What ``nn.Conv2d`` gives.

        Raises:
            TypeError, ValueError: as :func:`vqe_fast.ops.qp_modulate`.
        """
        if self.training or gains.dim() != 2 or gains.shape[0] != 1:
            modulated = qp_modulate(
                features, gains, activation=activation, negative_slope=negative_slope
            )
            return super().forward(modulated)
        check_modulation(features, gains, activation, negative_slope)
        if activation == "relu":
            features = F.relu(features, inplace)
        elif activation == "leaky_relu":
            features = F.leaky_relu(features, negative_slope, inplace)
        weight = self._kept.get(None, (self.weight, gains), lambda: _scaled_weight(self, gains))
        convolved: Tensor = self._conv_forward(features, weight, self.bias)
        return convolved


def _scaled_weight(conv: nn.Conv2d, gains: Tensor) -> Tensor:
    """The weight (O, C/groups, kh, kw), each channel of the input times its gain."""
    weight = conv.weight.unflatten(0, (conv.groups, -1))
    scaled: Tensor = weight * gains.view(conv.groups, 1, -1, 1, 1)
    return scaled.flatten(0, 1).to(conv.weight.dtype)
