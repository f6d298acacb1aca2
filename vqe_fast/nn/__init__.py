"""Modules and losses built on the operators."""

from vqe_fast.nn.attention import CrossFrameAttention
from vqe_fast.nn.fusion import AdaptiveSpatialTemporalFusion, FusionStream, UnsharpMask
from vqe_fast.nn.losses import CharbonnierLoss, MSSSIMLoss, SSIMLoss, SSIMMSELoss
from vqe_fast.nn.modulation import QPModulatedConv2d, QPModulation, fold_qp

__all__ = [
    "AdaptiveSpatialTemporalFusion",
    "CharbonnierLoss",
    "CrossFrameAttention",
    "FusionStream",
    "MSSSIMLoss",
    "QPModulatedConv2d",
    "QPModulation",
    "SSIMLoss",
    "SSIMMSELoss",
    "UnsharpMask",
    "fold_qp",
]
