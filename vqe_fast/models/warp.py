"""Backward warping along optical flow, by which recurrent models align features."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def flow_warp(
    features: Tensor, flow: Tensor, padding: Literal["zeros", "border"] = "zeros"
) -> Tensor:
    """Fetches for each pixel what lies where its flow points to, bilinearly.

    ``warped[:, :, y, x] = features[:, :, y + flow[:, 1, y, x], x + flow[:, 0, y, x]]``. Positions
    and weights are computed in float32 at least. Along an axis of a single pixel flow has no
    effect.

    Args:
        features: (B, C, H, W).
        flow: (B, 2, H, W) in pixels, x (to the right) first, y (down) second.
        padding: beyond the outermost pixel centres lie zeros, or the ``"border"`` goes on.

    Returns:
        (B, C, H, W) in the dtype of ``features``.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    if features.dim() != 4:
        raise ValueError(f"features must be (B, C, H, W), got {tuple(features.shape)}")
    batch, _, height, width = features.shape
    if flow.shape != (batch, 2, height, width):
        raise ValueError(f"flow must be {(batch, 2, height, width)}, got {tuple(flow.shape)}")
    dtype = torch.promote_types(torch.promote_types(features.dtype, flow.dtype), torch.float32)
    columns = torch.arange(width, device=flow.device, dtype=dtype)
    rows = torch.arange(height, device=flow.device, dtype=dtype)[:, None]
    grid = torch.stack(
        (
            (columns + flow[:, 0]) * (2 / max(width - 1, 1)) - 1,
            (rows + flow[:, 1]) * (2 / max(height - 1, 1)) - 1,
        ),
        dim=-1,
    )
    warped = functional.grid_sample(
        features.to(dtype), grid, mode="bilinear", padding_mode=padding, align_corners=True
    )
    return warped.to(features.dtype)
