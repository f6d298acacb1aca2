"""Samples between the planes of frames and the values that a model takes and gives."""

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
    """Samples of ``depth`` bits as a model takes them: float32 in [0, 1].

    They are divided by 2ⁿ-1 for n bits, 255 for 8, whatever the colour range: that is how models
    are trained.
    """
    return samples.to(torch.float32).div_(peak_of(depth))


def as_samples(steps: Tensor, depth: int) -> Tensor:
    """Floats in units of steps as samples of ``depth`` bits, rounded and clamped.

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
    """What :func:`as_values` makes of samples, back: rounded and clamped."""
    return as_samples(values * peak_of(depth), depth)


def peak_of(depth: int) -> int:
    """The largest sample of so many bits."""
    return (1 << depth) - 1
