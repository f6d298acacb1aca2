"""Losses as modules."""

from __future__ import annotations

from torch import Tensor, nn

from vqe_fast.ops import charbonnier_loss
from vqe_fast.ops._checks import check_positive, check_reduction


class CharbonnierLoss(nn.Module):
    """√(x² + ε²) of x = input − target; see :func:`vqe_fast.ops.charbonnier_loss`.

    Args:
        eps: ε, in the units of the values.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: ``eps`` is not above 0, or ``reduction`` is unknown.
    """

    def __init__(self, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__()
        check_positive("eps", eps)
        check_reduction(reduction)
        self.eps = eps
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        return charbonnier_loss(input, target, self.eps, self.reduction)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        return f"eps={self.eps}, reduction={self.reduction!r}"
