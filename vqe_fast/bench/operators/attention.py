"""Benchmark cases of ``attention``."""

from __future__ import annotations

import torch
from torch import Tensor

from vqe_fast import ops, reference
from vqe_fast.bench.case import Sample
from vqe_fast.bench.functions import Function, random_tensors
from vqe_fast.bench.record import Direction

_CHECKED_ROWS = 2
_LONG_ON_CPU = 4e12
"""Operations that take a processor so long that calling it once more to check it is too much."""


def attention(
    shape: tuple[int, ...], dtype: torch.dtype, device: str, direction: Direction
) -> Function:
    """Query and key (B, D, H, W) of ``shape``, a value of twice as many channels, as in PeQuENet.

    The first rows of queries are checked, which depend on no others.
    """
    batch, channels, height, width = shape
    positions = height * width

    def sample(number: int) -> Sample:
        shapes = (shape, shape, (batch, 2 * channels, height, width))
        query, key, value = random_tensors(number, shapes, dtype, device, normal=True)
        spread = channels**-0.25
        tensors = (query.mul_(spread), key.mul_(spread), value)
        if direction == "forward":
            return Sample(tensors)
        (upstream,) = random_tensors(-1 - number, shapes[2:], dtype, device, normal=True)
        return Sample(tensors, tuple(tensor.requires_grad_() for tensor in tensors), upstream)

    products = 2 * batch * positions**2 * 3 * channels
    maps = batch * positions * positions * dtype.itemsize
    return Function(
        "attention",
        "cross_frame_attention",
        shape,
        dtype,
        direction,
        device,
        ops.cross_frame_attention,
        reference.cross_frame_attention,
        sample,
        part=_first_rows,
        view=_of_first_rows,
        checks_part=device == "cpu" and products > _LONG_ON_CPU,
        plain_memory=maps * (2 if direction == "forward" else 3),
        work_flops=products if direction == "forward" else None,
    )


def _first_rows(sample: Sample) -> Sample:
    query, key, value = sample.arguments
    rows = query.detach()[:, :, :_CHECKED_ROWS]
    key, value = key.detach(), value.detach()
    if not sample.leaves:
        return Sample((rows, key, value))
    assert sample.upstream is not None
    rows.requires_grad_()
    return Sample((rows, key, value), (rows,), sample.upstream[:, :, :_CHECKED_ROWS])


def _of_first_rows(results: list[Tensor]) -> list[Tensor]:
    """Of the output and of the query's gradient; the others' depend on all queries."""
    return [result[:, :, :_CHECKED_ROWS] for result in results[:2]]
