"""Charbonnier loss in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from vqe_fast.reference._reduction import reduced


def charbonnier_loss(
    input: Tensor,
    target: Tensor,
    eps: float = 1e-6,
    reduction: str = "mean",
    *,
    weight: Tensor | None = None,
) -> Tensor:
    """ρ(x) = √(x² + ε²) of x = input − target; see :func:`vqe_fast.ops.charbonnier_loss`."""
    difference = input - target
    loss = torch.sqrt(difference * difference + eps * eps)
    return reduced(loss, reduction, weight)
