"""Benchmark cases of ``ssim``."""

from __future__ import annotations

import functools

import torch

from vqe_fast import ops, reference
from vqe_fast.bench.functions import Function
from vqe_fast.bench.operators.images import two_images
from vqe_fast.bench.record import Direction


def ssim(shape: tuple[int, ...], dtype: torch.dtype, device: str, direction: Direction) -> Function:
    """SSIM loss of images (B, C, H, W), H and W at least 11."""
    return Function(
        "ssim",
        "ssim_loss",
        shape,
        dtype,
        direction,
        device,
        ops.ssim_loss,
        reference.ssim_loss,
        functools.partial(two_images, shape=shape, dtype=dtype, device=device, direction=direction),
    )
