"""Sharpening of what a model gave, before it becomes samples."""

from __future__ import annotations

import torch
from torch import Tensor

from vqe_fast.models.registry import Planes
from vqe_fast.ops import unsharp_mask
from vqe_fast.reference.fusion import luma_of


def sharpen_luma(values: Tensor, amount: float, planes: Planes) -> Tensor:
    """Unsharp mask of luma by a Gaussian of three taps; Cb and Cr stay.

    Args:
        values: (B, C, H, W), what a model gave.
        amount: see :func:`vqe_fast.ops.unsharp_mask`.
        planes: what the channels are. Of RGB the luma by BT.601 is sharpened, as in ASTF, and
            what that adds is added to red, green and blue: under any matrix a change of luma.

    Returns:
        The shape of ``values``; not clamped.
    """
    luma = luma_of(values) if planes == "rgb" else values[:, :1]
    sharpened = unsharp_mask(luma, amount)
    if planes == "rgb":
        return values + (sharpened - luma)
    return torch.cat((sharpened, values[:, 1:]), 1)
