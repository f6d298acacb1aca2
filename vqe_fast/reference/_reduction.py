"""How values of elements become one."""

from __future__ import annotations

from torch import Tensor


def reduced(values: Tensor, reduction: str, weight: Tensor | None = None) -> Tensor:
    """The mean or the sum of values times their weights, or each of them, in their dtype.

    Args:
        values: any shape.
        reduction: ``"mean"`` over the number of values, ``"sum"`` or ``"none"``.
        weight: broadcasts to the shape of ``values``; 1 unless it is given.
    """
    weighted = values if weight is None else values * weight
    if reduction == "mean":
        weighted = weighted.mean()
    elif reduction == "sum":
        weighted = weighted.sum()
    return weighted.to(values.dtype)
