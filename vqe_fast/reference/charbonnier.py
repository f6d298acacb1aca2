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
    dtype = torch.promote_types(input.dtype, target.dtype)
    computed = torch.promote_types(dtype, torch.float32)
    difference = input.to(computed) - target.to(computed)
    loss = torch.sqrt(difference * difference + eps * eps)
    return reduced(loss, reduction, weight).to(dtype)
