"""Inputs of losses: an image and its target."""

from __future__ import annotations

import torch

from vqe_fast.bench.case import Sample
from vqe_fast.bench.functions import random_tensors
from vqe_fast.bench.record import Direction


def two_images(
    number: int, shape: tuple[int, ...], dtype: torch.dtype, device: str, direction: Direction
) -> Sample:
    """An image and its target, both in [0, 1); the gradient is that of the image."""
    image, target = random_tensors(number, (shape, shape), dtype, device)
    leaves = (image.requires_grad_(),) if direction == "both" else ()
    return Sample((image, target), leaves)
