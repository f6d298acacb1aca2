"""SPyNet (Ranjan and Black): optical flow, coarse to fine, in the size that BasicVSR uses."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vqe_fast.models.warp import flow_warp

_LEVELS = 6
_COARSEST = 2 ** (_LEVELS - 1)
_CHANNELS = (8, 32, 64, 32, 16, 2)
_CONVOLUTIONS = len(_CHANNELS) - 1

FLOW_REACH = (
    (3 * _CONVOLUTIONS + 1) * (2 * _COARSEST - 1)  # convolutions and warping, of every level
    + 4 * (_COARSEST - 1)  # upsampling between the levels
    + _COARSEST  # a pixel of the coarsest level
    + 2  # resizing to the multiple of 32 and back
)
"""Pixels further away have no influence on a flow vector, but for those it points to."""


class _Level(nn.Module):
    """Five 7×7 convolutions: (reference, warped other, flow so far) → correction of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 7, padding=3) for before, after in pairwise(_CHANNELS)
        )
        # Untrained, nothing moves.
        last = cast(nn.Conv2d, self.convs[-1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, images: Tensor) -> Tensor:
        weight = cast(nn.Conv2d, self.convs[0]).weight
        hidden = images.to(weight.dtype).contiguous(memory_format=torch.channels_last)
        for conv in self.convs[:-1]:
            hidden = functional.relu(conv(hidden), inplace=True)
        return cast(Tensor, self.convs[-1](hidden)).to(images.dtype)


class SPyNet(nn.Module):
    """Flow between two frames, in six levels: 1,440,300 parameters.

    The frames are normalised by ImageNet's mean and standard deviation, resized to multiples of 32
    and halved five times. From the coarsest level on, the flow is doubled, the other frame warped
    by it (its border goes on), and a correction added. The flow itself is float32 or float64 in
    any precision of the weights: in bfloat16 a motion of 65 pixels would be one of 64 or 66.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_Level() for _ in range(_LEVELS))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, reference: Tensor, other: Tensor) -> Tensor:
        """The flow that :func:`flow_warp` needs to lay ``other`` over ``reference``.

        Args:
            reference: (B, 3, H, W), RGB in [0, 1], any H and W.
            other: (B, 3, H, W).

        Returns:
            (B, 2, H, W) in pixels, x first; float32, or float64 for float64 frames.

        Raises:
            ValueError: the shapes differ or are not (B, 3, H, W).
        """
        if reference.dim() != 4 or reference.shape[1] != 3 or reference.shape != other.shape:
            raise ValueError(
                "reference and other must both be (B, 3, H, W), "
                f"got {tuple(reference.shape)} and {tuple(other.shape)}"
            )
        size = reference.shape[-2:]
        return self.flow(self.pyramid(reference), self.pyramid(other), (size[0], size[1]))

    def pyramid(self, frames: Tensor) -> list[Tensor]:
        """Normalised frames at the six resolutions, the lowest first.

        Args:
            frames: (B, 3, H, W), RGB in [0, 1].

        Returns:
            Tensors (B, 3, h, w), from a 32nd of H and W, rounded up, to H and W, rounded up to
            multiples of 32.
        """
        frames = frames.to(torch.promote_types(frames.dtype, torch.float32))
        height, width = frames.shape[-2:]
        size = (height + -height % _COARSEST, width + -width % _COARSEST)
        if size != (height, width):
            frames = functional.interpolate(frames, size, mode="bilinear", align_corners=False)
        images = [(frames - self.mean.to(frames.dtype)) / self.std.to(frames.dtype)]
        for _ in range(_LEVELS - 1):
            images.append(functional.avg_pool2d(images[-1], 2, count_include_pad=False))
        return images[::-1]

    def flow(self, reference: list[Tensor], other: list[Tensor], size: tuple[int, int]) -> Tensor:
        """As :meth:`forward`, from the pyramids of two frames of the height and width ``size``."""
        batch, _, height, width = reference[0].shape
        flow = reference[0].new_zeros(batch, 2, height, width)
        for number, level in enumerate(self.levels):
            if number > 0:
                flow = 2 * functional.interpolate(
                    flow, scale_factor=2, mode="bilinear", align_corners=True
                )
            warped = flow_warp(other[number], flow, padding="border")
            flow = flow + level(torch.cat((reference[number], warped, flow), dim=1))
        full_height, full_width = flow.shape[-2:]
        if (full_height, full_width) != size:
            flow = functional.interpolate(flow, size, mode="bilinear", align_corners=False)
            shrinking = flow.new_tensor((size[1] / full_width, size[0] / full_height))
            flow = flow * shrinking.view(1, 2, 1, 1)
        return flow
