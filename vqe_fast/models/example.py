"""Example inputs of models: a test picture, clips made of one frame, and coding parameters."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.registry import ModelSpec

QP = 32.0
"""The QP of an example."""

CORNER = 256
"""Pixels a side of a frame that suffice for an example."""

_PAN = 2  # pixels from frame to frame of what stands for a clip before there is one
_SMOOTH, _BLOCKS = 16, 64  # cells a side


def example_of(spec: ModelSpec, values: Tensor, frames: int) -> Tensor:
    """An example input of a model, made from one frame: a camera that pans over it.

    Args:
        spec: of the model.
        values: of the frame, (B, C, H, W).
        frames: of a clip; it matters to a recurrent model alone.

    Returns:
        (B, C, H, W), or (B, T, C, H, W) for a model that sees several frames together.
    """
    if spec.recurrent:
        return torch.stack([values.roll(_PAN * n, -1) for n in range(frames)], dim=1)
    if spec.temporal_radius:
        return torch.stack([values] * (2 * spec.temporal_radius + 1), dim=1)
    return values


def coding_of_example(spec: ModelSpec, frames: Tensor) -> tuple[float | Tensor, ...]:
    """The coding parameters that a model takes after an example input, QP 32 and nothing known.

    Args:
        spec: of the model.
        frames: as :func:`example_of` gave them.

    Returns:
        QP, codec and type of frame, as far as the model takes them; QP and type (B, T), on the
        CPU, for a model that takes those of each frame.
    """
    if not spec.takes_qp:
        return ()
    qp: float | Tensor = QP
    kind: int | Tensor = UNKNOWN
    if spec.coding_of_window:
        qp = torch.full(frames.shape[:2], QP)
        kind = torch.full(frames.shape[:2], UNKNOWN)
    return (qp, UNKNOWN, kind) if spec.takes_coding else (qp,)


def test_picture(spec: ModelSpec) -> Tensor:
    """A picture to compare precisions on, always the same: soft gradients under hard blocks.

    Models change it about as much as frames of compressed video.

    Returns:
        (1, C, H, W) float32 in the model's value range; of a model that sees several frames,
        with fewer pixels for each.
    """
    together = 2 * spec.temporal_radius + 1 if spec.temporal_radius else 3 if spec.recurrent else 1
    side = math.isqrt(CORNER**2 // together)
    generator = torch.Generator().manual_seed(0)
    planes = 1 if spec.planes == "y" else 3
    soft, hard = (
        torch.rand(1, planes, cells, cells, generator=generator) for cells in (_SMOOTH, _BLOCKS)
    )
    picture = functional.interpolate(soft, (side, side), mode="bilinear").mul_(0.7)
    picture += functional.interpolate(hard, (side, side), mode="nearest").mul_(0.3)
    least, most = spec.value_range
    return least + (most - least) * picture
