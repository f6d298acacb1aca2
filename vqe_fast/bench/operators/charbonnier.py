"""Benchmark cases of ``charbonnier``."""

from __future__ import annotations

import functools

import torch

from vqe_fast import ops, reference
from vqe_fast.bench.functions import Function
from vqe_fast.bench.operators.images import two_images
from vqe_fast.bench.record import Direction


def charbonnier(
    shape: tuple[int, ...], dtype: torch.dtype, device: str, direction: Direction
) -> Function:
    """Charbonnier loss, its mean over images of any shape."""
    return Function(
        "charbonnier",
        "charbonnier_loss",
        shape,
        dtype,
        direction,
        device,
        ops.charbonnier_loss,
        reference.charbonnier_loss,
        functools.partial(two_images, shape=shape, dtype=dtype, device=device, direction=direction),
    )
