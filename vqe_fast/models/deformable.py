"""Modulated deformable convolution (Zhu et al., DCNv2), in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SIDE = 3
_TAPS = _SIDE**2


class DeformableConv2d(nn.Module):
    """3×3 convolution whose taps are moved and weighted: modulated deformable convolution.

    Channels are in ``groups`` groups, each with its own offsets. Beyond the outermost pixels lie
    zeros; samples between pixels are bilinear. Positions are computed in float32 at least.

    Args:
        channels: C, of what goes in and comes out.
        groups: that have their own offsets; a divisor of C.

    Attributes:
        taps: numbers that offsets and weights take for each pixel, ``groups`` · 9 · 3.

    Raises:
        ValueError: ``groups`` does not divide ``channels``.
    """

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f"groups must divide the {channels} channels, got {groups}")
        self.groups = groups
        self.taps = groups * _TAPS * 3
        self.conv = nn.Conv2d(channels, channels, _SIDE, padding=1)

    def forward(self, features: Tensor, moves: Tensor) -> Tensor:
        """Convolves samples of ``features`` where ``moves`` tells.

        Args:
            features: (B, C, H, W).
            moves: (B, taps, H, W): of each group and tap the offsets down and to the right in
                pixels, then of each its weight before a sigmoid.

        Returns:
            (B, C, H, W).
        """
        batch, channels, height, width = features.shape
        count = self.groups * _TAPS
        offsets = moves[:, : 2 * count].unflatten(1, (self.groups, _TAPS, 2))
        weights = moves[:, 2 * count :].sigmoid().unflatten(1, (self.groups, 1, _TAPS))
        grid = _grid(offsets.to(torch.promote_types(features.dtype, torch.float32)))
        sampled = F.grid_sample(
            features.unflatten(1, (self.groups, -1)).flatten(0, 1).to(grid.dtype),
            grid.flatten(0, 1).flatten(1, 2),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=True,
        )
        columns = sampled.view(batch, self.groups, -1, _TAPS, height, width).to(features.dtype)
        columns = (columns * weights).reshape(batch, channels * _TAPS, height * width)
        assert self.conv.bias is not None
        result: Tensor = self.conv.weight.flatten(1) @ columns + self.conv.bias[:, None]
        shaped: Tensor = result.unflatten(-1, (height, width))
        return shaped


def _grid(offsets: Tensor) -> Tensor:
    """Where taps lie, (B, G, 9, H, W, 2) as ``grid_sample`` takes it; from (B, G, 9, 2, H, W)."""
    height, width = offsets.shape[-2:]
    steps = torch.arange(_SIDE, device=offsets.device, dtype=offsets.dtype) - 1
    down, right = steps.repeat_interleave(_SIDE), steps.repeat(_SIDE)
    rows = torch.arange(height, device=offsets.device, dtype=offsets.dtype)[:, None]
    columns = torch.arange(width, device=offsets.device, dtype=offsets.dtype)
    y = offsets[:, :, :, 0] + down[:, None, None] + rows
    x = offsets[:, :, :, 1] + right[:, None, None] + columns
    return torch.stack((x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1), dim=-1)
