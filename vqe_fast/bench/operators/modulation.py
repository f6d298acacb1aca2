"""Benchmark cases of ``modulation``."""

from __future__ import annotations

import functools
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vqe_fast import ops
from vqe_fast.bench.case import Sample
from vqe_fast.bench.functions import Function, random_tensors
from vqe_fast.bench.record import Direction

BLOCK = 16
_CHECKED_CHANNELS = 4
_WORDS = {"frame": "a QP a frame", "blocks": f"a QP a {BLOCK}×{BLOCK} block"}
_LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


def modulation(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: str,
    direction: Direction,
    *,
    gains: Literal["frame", "blocks"] = "frame",
    layout: Literal["NCHW", "channels_last"] = "NCHW",
) -> Function:
    """ReLU of features (B, C, H, W), times a gain for each channel of a frame or of a block."""
    batch, channels, height, width = shape
    blocks = (-(-height // BLOCK), -(-width // BLOCK)) if gains == "blocks" else (1, 1)

    def sample(number: int) -> Sample:
        shapes = (shape, (batch, channels, *blocks), shape)
        laid = [
            tensor.contiguous(memory_format=_LAYOUTS[layout])
            for tensor in random_tensors(number, shapes, dtype, device)
        ]
        tensors = (laid[0].sub_(0.5), laid[1])
        if direction == "forward":
            return Sample(tensors)
        return Sample(tensors, tuple(tensor.requires_grad_() for tensor in tensors), laid[2])

    return Function(
        "modulation",
        f"qp_modulate, {_WORDS[gains]}, {layout}",
        shape,
        dtype,
        direction,
        device,
        functools.partial(ops.qp_modulate, activation="relu"),
        plain_modulate,
        sample,
        part=_first_channels,
        view=lambda results: [result[:, :_CHECKED_CHANNELS] for result in results],
    )


def plain_modulate(features: Tensor, gains: Tensor) -> Tensor:
    """``F.interpolate`` picks the gains that the operator picks where blocks fill the frame."""
    if gains.shape[2:] != (1, 1):
        gains = functional.interpolate(gains, features.shape[2:], mode="nearest")
    return functional.relu(features) * gains


def _first_channels(sample: Sample) -> Sample:
    """Nothing else depends on them."""
    chosen = tuple(tensor.detach()[:, :_CHECKED_CHANNELS] for tensor in sample.arguments)
    if not sample.leaves:
        return Sample(chosen)
    assert sample.upstream is not None
    leaves = tuple(tensor.requires_grad_() for tensor in chosen)
    return Sample(leaves, leaves, sample.upstream[:, :_CHECKED_CHANNELS])
