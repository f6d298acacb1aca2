"""Modules and losses built on the operators."""

from vqe_fast.nn.attention import CrossFrameAttention
from vqe_fast.nn.fusion import AdaptiveSpatialTemporalFusion, FusionStream, UnsharpMask
from vqe_fast.nn.losses import CharbonnierLoss, MSSSIMLoss, SSIMLoss, SSIMMSELoss

__all__ = [
    "AdaptiveSpatialTemporalFusion",
    "CharbonnierLoss",
    "CrossFrameAttention",
    "FusionStream",
    "MSSSIMLoss",
    "SSIMLoss",
    "SSIMMSELoss",
    "UnsharpMask",
]
