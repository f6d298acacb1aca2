"""Charbonnier loss in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor


def charbonnier_loss(
    input: Tensor, target: Tensor, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """ρ(x) = √(x² + ε²) of x = input − target; see :func:`vqe_fast.ops.charbonnier_loss`."""
    difference = input - target
    loss = torch.sqrt(difference * difference + eps * eps)
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    return loss
