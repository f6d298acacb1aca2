"""Luma between the decoder's memory, the model and the encoder; nothing else in a frame moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from av.video.frame import PictureType, VideoFrame
from torch import Tensor

LUMA_FORMATS = (
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuvj420p",
    "yuvj422p",
    "yuvj444p",
    "gray",
)
"""Pixel formats whose first plane is 8-bit luma."""

_PEAK = 255


def take_over(frame: VideoFrame) -> None:
    """Makes a decoded frame ours to change and to encode.

    Its memory is copied if the decoder still refers to it. The picture type is forgotten: an
    encoder would take it as an order, and repeat the source's structure of I, P and B frames.
    """
    frame.make_writable()
    frame.pict_type = PictureType.NONE


def luma_view(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """The luma plane of ``frame``, (H, W) uint8, without the padding of its rows; not a copy.

    It is writable after :func:`take_over`, and only views taken after that call stay valid.
    """
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    return rows[:, : plane.width]


def read_luma(frame: VideoFrame, device: torch.device) -> Tensor:
    """The luma of ``frame`` as a model takes it: (1, 1, H, W) float32 in [0, 1] on ``device``.

    Samples are divided by 255 whatever the colour range: that is how models are trained.
    """
    samples = torch.from_numpy(luma_view(frame)).to(device)
    return samples[None, None].to(torch.float32).div_(_PEAK)


def write_luma(frame: VideoFrame, luma: Tensor) -> None:
    """Replaces the luma of ``frame`` by (1, 1, H, W) floats in [0, 1], clamped and rounded."""
    samples = (luma[0, 0] * _PEAK).round_().clamp_(0, _PEAK).to(torch.uint8)
    torch.from_numpy(luma_view(frame)).copy_(samples)
