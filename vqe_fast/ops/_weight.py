"""The map of weights that losses take."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def check_weight(weight: object, shape: Sequence[int], device: torch.device) -> None:
    """Raises unless ``weight`` is a real tensor on ``device`` that broadcasts to ``shape``."""
    if not isinstance(weight, Tensor):
        raise TypeError(f"weight must be a tensor, got {type(weight).__name__}")
    if weight.is_complex():
        raise TypeError(f"weight must be real, got {weight.dtype}")
    if weight.device != device:
        raise ValueError(f"weight must be on {device} like input; got {weight.device}")
    sides = zip(reversed(weight.shape), reversed(shape), strict=False)
    if weight.dim() > len(shape) or any(side not in (1, whole) for side, whole in sides):
        raise ValueError(
            f"weight must broadcast to the shape of input, {tuple(shape)}; "
            f"got {tuple(weight.shape)}"
        )
