"""Modulation of features by gains that depend on QPs, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

PAPER_QPS = (22.0, 27.0, 32.0, 37.0)
"""The QPs of PeQuENet's four models, which a table of four rows has unless told otherwise."""


def qp_modulate(
    features: Tensor,
    gains: Tensor,
    *,
    activation: str | None = None,
    negative_slope: float = 0.01,
) -> Tensor:
    """activation(features) · gains; see :func:`vqe_fast.ops.qp_modulate`.

    Stores the gains at the size of the features.
    """
    computed = computed_dtype(features)
    activated, gains = features.to(computed), gains.to(computed)
    if activation == "relu":
        activated = F.relu(activated)
    elif activation == "leaky_relu":
        activated = F.leaky_relu(activated, negative_slope)
    if gains.dim() == 2:
        gains = gains[:, :, None, None]
    for dim in (2, 3):
        size, count = features.shape[dim], gains.shape[dim]
        taken = torch.arange(size, device=features.device) * count // max(size, 1)
        gains = gains.index_select(dim, taken)
    return (activated * gains).to(features.dtype)


def qp_gains(
    qp: float | Tensor, table: Tensor, bias: Tensor, *, qps: Sequence[float] | None = None
) -> Tensor:
    """softplus(row of ``table`` at ``qp`` + ``bias``); see :func:`vqe_fast.ops.qp_gains`.

    Takes QPs as they are, without a check.
    """
    dtype = torch.promote_types(table.dtype, bias.dtype)
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    table, bias = table.to(computed), bias.to(computed)
    rows = torch.tensor(row_qps(qps, table.shape[0]), dtype=computed, device=table.device)
    at = torch.as_tensor(qp, device=table.device).detach().to(computed)
    shape = at.shape or (1,)
    at = at.reshape(-1).clamp(rows[0], rows[-1])
    lower = (torch.searchsorted(rows, at, right=True) - 1).clamp(0, max(len(rows) - 2, 0))
    upper = (lower + 1).clamp(max=len(rows) - 1)
    step = torch.where(upper > lower, rows[upper] - rows[lower], 1)
    part = ((at - rows[lower]) / step)[:, None]
    row = table.index_select(0, lower) * (1 - part) + table.index_select(0, upper) * part
    gains: Tensor = F.softplus(row + bias).to(dtype).unflatten(0, shape)
    return gains.movedim(-1, 1).contiguous()


def row_qps(qps: Sequence[float] | None, rows: int) -> tuple[float, ...]:
    """The QP of each row of a table: ``qps``, or the paper's for four rows, else 0, 1, 2, …"""
    if qps is not None:
        return tuple(map(float, qps))
    return PAPER_QPS if rows == len(PAPER_QPS) else tuple(map(float, range(rows)))


def computed_dtype(tensor: Tensor) -> torch.dtype:
    """What tensors are computed in: float64 for float64, else float32."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
