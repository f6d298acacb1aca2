"""Benchmark cases of ``fusion``."""

from __future__ import annotations

import functools

import torch

from vqe_fast import ops, reference
from vqe_fast.bench.case import Sample
from vqe_fast.bench.functions import Function, random_tensors
from vqe_fast.bench.record import Direction

SHARPEN = 0.5


def fusion(
    shape: tuple[int, ...], dtype: torch.dtype, device: str, direction: Direction
) -> Function:
    """Two enhancements of frames (B, 3 or 1, H, W) fused and sharpened."""

    def sample(number: int) -> Sample:
        *frames, upstream = random_tensors(number, [shape] * 5, dtype, device)
        detail, _, smooth, _ = frames
        if direction == "forward":
            return Sample(tuple(frames))
        return Sample(tuple(frames), (detail.requires_grad_(), smooth.requires_grad_()), upstream)

    return Function(
        "fusion",
        "astf_fuse, sharpened",
        shape,
        dtype,
        direction,
        device,
        functools.partial(ops.astf_fuse, sharpen=SHARPEN),
        functools.partial(reference.astf_fuse, sharpen=SHARPEN),
        sample,
    )


def variance(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> Function:
    """Local variance of the luma of frames (B, 1, H, W)."""

    def sample(number: int) -> Sample:
        return Sample(tuple(random_tensors(number, [shape], dtype, device)))

    return Function(
        "fusion",
        "local_variance",
        shape,
        dtype,
        "forward",
        device,
        ops.local_variance,
        reference.local_variance,
        sample,
    )
