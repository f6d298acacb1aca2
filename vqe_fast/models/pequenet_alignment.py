"""Local alignment of PeQuENet's section IV-F, in place of attention: deformable, and by flow."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast.models.deformable import DeformableConv2d
from vqe_fast.models.warp import flow_warp

Alignment = Literal["attention", "deformable", "flow"]
"""How a neighbour's features are laid over the frame's; ``"attention"`` is the proposed network."""

_SLOPE = 0.1


class DeformableAlignment(nn.Module):
    """Deformable alignment of a neighbour's features, as at one level of EDVR's PCD; Fig. 10.

    From both frames' features two 3×3 convolutions find offsets and weights for a deformable
    convolution of the neighbour's. The paper names that module as its model; offsets of one scale
    do not depend on those of another here, as its attention blocks do not.

    Args:
        channels: C, of the features; a multiple of 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.compare = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.refine = nn.Conv2d(channels, channels, 3, padding=1)
        self.align = DeformableConv2d(channels)
        self.moves = nn.Conv2d(channels, self.align.taps, 3, padding=1)
        # Untrained, nothing moves.
        nn.init.zeros_(self.moves.weight)
        assert self.moves.bias is not None
        nn.init.zeros_(self.moves.bias)

    def forward(self, features: Tensor, reference: Tensor) -> Tensor:
        """The reference's features laid over the frame's.

        Args:
            features: (B, C, H, W) of the frame.
            reference: (B, C, H, W) of the neighbour.

        Returns:
            (B, C, H, W).
        """
        compared = F.leaky_relu(self.compare(torch.cat((reference, features), dim=1)), _SLOPE)
        moves = self.moves(F.leaky_relu(self.refine(compared), _SLOPE))
        return F.leaky_relu(self.align(reference, moves), _SLOPE)


def aligned_by_flow(reference: Tensor, flow: Tensor) -> Tensor:
    """The reference's features laid over the frame's by the flow between the frames; Fig. 11.

    Args:
        reference: (B, C, h, w) of the neighbour, at a power of two less than the frame's size.
        flow: (B, 2, H, W) from the frame to the neighbour, in pixels of the frame; the downsampling
            of Fig. 11 is an average.

    Returns:
        (B, C, h, w).
    """
    size = (reference.shape[-2], reference.shape[-1])
    shrunk = F.adaptive_avg_pool2d(flow, size)
    ratio = flow.new_tensor((size[1] / flow.shape[-1], size[0] / flow.shape[-2]))
    return flow_warp(reference, shrunk * ratio.view(1, 2, 1, 1))
