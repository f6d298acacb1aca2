"""Samples of planes between the decoder's memory, the model and the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from av.video.frame import PictureType, VideoFrame
from torch import Tensor


def take_over(frame: VideoFrame) -> None:
    """Makes a decoded frame ours to change and to encode.

    Its memory is copied if the decoder still refers to it. The picture type is forgotten: an
    encoder would take it as an order, and repeat the source's structure of I, P and B frames.
    """
    frame.make_writable()
    frame.pict_type = PictureType.NONE


def depth_of(frame: VideoFrame) -> int:
    """Bits of a sample of luma."""
    return frame.format.components[0].bits


def plane_view(frame: VideoFrame, index: int) -> npt.NDArray[Any]:
    """A plane of ``frame``, (H, W), without the padding of its rows; not a copy.

    uint8 for 8 bits, uint16 for more. It is writable after :func:`take_over`, and only views taken
    after that call stay valid.
    """
    plane = frame.planes[index]
    dtype = np.dtype(np.uint8 if depth_of(frame) == 8 else np.uint16)
    rows = np.frombuffer(memoryview(plane), dtype)
    return rows.reshape(plane.height, abs(plane.line_size) // dtype.itemsize)[:, : plane.width]


def luma_view(frame: VideoFrame) -> npt.NDArray[Any]:
    """The luma of ``frame``: its first :func:`plane_view`."""
    return plane_view(frame, 0)


def load_planes(frame: VideoFrame, count: int, device: torch.device) -> list[Tensor]:
    """The first planes of ``frame``, each (1, 1, h, w) on ``device``; on a CPU no copies."""
    views = (torch.from_numpy(plane_view(frame, index)) for index in range(count))
    return [view.to(device)[None, None] for view in views]


def store_planes(frame: VideoFrame, planes: Sequence[Tensor]) -> None:
    """Replaces the first planes of ``frame`` by samples, each (1, 1, h, w)."""
    for index, samples in enumerate(planes):
        plane_view(frame, index)[:] = samples[0, 0].cpu().numpy()


def as_values(samples: Tensor, depth: int) -> Tensor:
    """Samples of ``depth`` bits as a model takes them: float32 in [0, 1].

    They are divided by 2ⁿ-1 for n bits, 255 for 8, whatever the colour range: that is how models
    are trained.
    """
    return samples.to(torch.float32).div_(_peak(depth))


def as_samples(steps: Tensor, depth: int) -> Tensor:
    """Floats in units of steps as samples of ``depth`` bits, rounded and clamped.

    Args:
        steps: any shape; used up.
        depth: bits of a sample.

    Returns:
        uint8 for 8 bits, uint16 for more.
    """
    dtype = torch.uint8 if depth == 8 else torch.uint16
    return steps.round_().clamp_(0, _peak(depth)).to(dtype)


def values_as_samples(values: Tensor, depth: int) -> Tensor:
    """What :func:`as_values` makes of samples, back: rounded and clamped."""
    return as_samples(values * _peak(depth), depth)


def _peak(depth: int) -> int:
    return (1 << depth) - 1
