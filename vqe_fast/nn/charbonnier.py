"""The Charbonnier loss as a module."""

from __future__ import annotations

import math

from torch import Tensor, nn

from vqe_fast.ops import charbonnier_loss
from vqe_fast.ops._checks import check_finite, check_positive, check_reduction

_NAMES = ("eps", "reduction")
_BASICSR_NAMES = ("loss_weight", "reduction", "eps")


class CharbonnierLoss(nn.Module):
    """Charbonnier loss √(x² + ε²) of x = input − target, :func:`vqe_fast.ops.charbonnier_loss`.

    All arguments are given by name, as libraries differ in what comes first. With ``loss_weight``
    the loss is that of BasicSR and MMagic, whose modules take it: multiplied by ``loss_weight``,
    ``eps`` under the root as it is, √(x² + eps), and a weighted mean over the sum of the weights.

    Args:
        eps: ε, in the units of the values, 1e-6 unless it is given; with ``loss_weight`` ε².
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        loss_weight: a factor, finite, for the conventions of BasicSR and MMagic.

    Raises:
        TypeError: an argument is given by its place.
        ValueError: ``eps`` is not above 0, or ``reduction`` is unknown.
    """

    def __init__(
        self,
        *positional: object,
        eps: float | None = None,
        reduction: str = "mean",
        loss_weight: float | None = None,
    ) -> None:
        super().__init__()
        if positional:
            raise TypeError(
                "CharbonnierLoss takes its arguments by name: "
                f"{_call(_NAMES, positional)}, or as in BasicSR "
                f"{_call(_BASICSR_NAMES, positional)}"
            )
        if eps is not None:
            check_positive("eps", eps)
        if loss_weight is not None:
            check_finite("loss_weight", loss_weight)
            eps = None if eps is None else math.sqrt(eps)
        check_reduction(reduction)
        self.eps = 1e-6 if eps is None else eps
        self.reduction = reduction
        self.loss_weight = loss_weight

    def forward(self, input: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of two tensors of one shape.

        Args:
            input: any shape.
            target: the same shape.
            weight: w of each element, broadcasts to that shape. A mean is that of w·loss, or with
                ``loss_weight`` Σ w·loss / Σ w, 0 where all weights are.
        """
        if self.loss_weight is None:
            return charbonnier_loss(input, target, self.eps, self.reduction, weight=weight)
        if weight is None or self.reduction != "mean":
            loss = charbonnier_loss(input, target, self.eps, self.reduction, weight=weight)
            return self.loss_weight * loss
        loss = charbonnier_loss(input, target, self.eps, "sum", weight=weight)
        total = weight.expand(input.shape).sum(dtype=loss.dtype)
        return self.loss_weight * loss / (total + 1e-12)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        if self.loss_weight is None:
            return f"eps={self.eps}, reduction={self.reduction!r}"
        eps = f"{self.eps**2:g}"
        return f"loss_weight={self.loss_weight}, reduction={self.reduction!r}, eps={eps}"


def _call(names: tuple[str, ...], values: tuple[object, ...]) -> str:
    given = (f"{name}={value!r}" for name, value in zip(names, values, strict=False))
    return f"CharbonnierLoss({', '.join(given)})"
