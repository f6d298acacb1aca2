"""Cross-frame attention in plain PyTorch."""

from __future__ import annotations

from torch import Tensor


def cross_frame_attention(
    query: Tensor, key: Tensor, value: Tensor, *, scale: float = 1.0
) -> Tensor:
    """See :func:`vqe_fast.ops.cross_frame_attention`; holds the whole (B, H·W, H'·W') map."""
    logits = scale * (query.flatten(2).mT @ key.flatten(2))
    weights = logits.softmax(dim=-1)
    attended: Tensor = value.flatten(2) @ weights.mT
    return attended.view(*attended.shape[:2], *query.shape[2:])
