"""Tensors of planes: integer samples of a bit depth to float32 in [0, 1], and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from av.video.frame import VideoFrame
from torch import Tensor

from vqe_fast.video.frames.planes import plane_view


def load_planes(frame: VideoFrame, count: int, device: torch.device) -> list[Tensor]:
    """The first planes of ``frame``, each (1, 1, h, w) on ``device``; on a CPU no copies."""
    views = (torch.from_numpy(plane_view(frame, index)) for index in range(count))
    return [view.to(device)[None, None] for view in views]


def store_planes(frame: VideoFrame, planes: Sequence[Tensor]) -> None:
    """Replaces the first planes of ``frame`` by samples, each (1, 1, h, w) on the CPU."""
    for index, samples in enumerate(planes):
        plane_view(frame, index)[:] = samples[0, 0].numpy()


def as_values(samples: Tensor, depth: int) -> Tensor:
    """Normalises samples of a bit depth: float32 in [0, 1].

    They are divided by 2ⁿ-1 for n bits, 255 for 8, whatever the colour range: that is how models
    are trained.
    """
    return samples.to(torch.float32).div_(peak_of(depth))


def as_samples(steps: Tensor, depth: int) -> Tensor:
    """Quantises floats in units of steps to samples of a bit depth, rounded and clamped.

    Args:
        steps: any shape; used up.
        depth: bits of a sample.

    Returns:
        uint8 for 8 bits, uint16 for more.
    """
    samples = steps.round_().clamp_(0, peak_of(depth))
    if depth == 8:
        return samples.to(torch.int16).to(torch.uint8)  # a third of the time of one conversion
    return samples.to(torch.uint16)


def values_as_samples(values: Tensor, depth: int) -> Tensor:
    """Quantises values in [0, 1] to samples, the opposite of :func:`as_values`."""
    return as_samples(values * peak_of(depth), depth)


def peak_of(depth: int) -> int:
    """The largest sample of a bit depth."""
    return (1 << depth) - 1
