"""Muon for stacked convolutions, with a rate that is a tensor, as a CUDA graph needs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_SMALLEST_NORM = 1e-7


class StackedMuon:
    """Muon as ``torch.optim.Muon`` has it, without weight decay, for weights (O, I, h, w).

    Weights of one shape are worked through together, as matrices (N, O, h·w·I).

    Args:
        weights: of convolutions.
        rate: what a step may change of a matrix, as the largest singular value; ().
    """

    def __init__(self, weights: Sequence[nn.Parameter], rate: Tensor) -> None:
        self._rate = rate
        alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for weight in weights:
            alike[weight.shape].append(weight)
        self._groups = [(group, torch.zeros_like(_stacked(group))) for group in alike.values()]

    @torch.no_grad()
    def step(self) -> None:
        """Takes an optimiser step by the gradients of the weights."""
        for weights, momentum in self._groups:
            gradient = _stacked([_gradient(weight) for weight in weights])
            momentum.lerp_(gradient, 1 - _MOMENTUM)
            update = orthogonalised(gradient.lerp(momentum, _MOMENTUM)).to(momentum.dtype)
            rows, columns = update.shape[1:]
            update = update * (-self._rate * math.sqrt(max(1.0, rows / columns)))
            outputs, inputs, height, width = weights[0].shape
            shaped = update.view(-1, outputs, height, width, inputs).movedim(-1, 2)
            torch._foreach_add_(list(weights), list(shaped.unbind()))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Orthogonalised matrices, singular values about 1, (N, rows, columns), bfloat16.

    Newton and Schulz's iteration with Jordan's coefficients.
    """
    values = matrices.bfloat16()
    is_tall = values.shape[1] > values.shape[2]
    if is_tall:
        values = values.mT
    values = values / values.flatten(1).norm(dim=1).clamp_min(_SMALLEST_NORM)[:, None, None]
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = values @ values.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        values = torch.baddbmm(values, gram, values, beta=a)
    return values.mT if is_tall else values


def _stacked(weights: Sequence[Tensor]) -> Tensor:
    """(O, I, h, w), N of them, as (N, O, h·w·I): as channels_last memory has them."""
    return torch.stack([weight.detach().permute(0, 2, 3, 1).flatten(1) for weight in weights])


def _gradient(weight: nn.Parameter) -> Tensor:
    assert weight.grad is not None
    return weight.grad
