"""Modules and losses built on the operators."""

from vqe_fast.nn.attention import CrossFrameAttention
from vqe_fast.nn.losses import CharbonnierLoss, MSSSIMLoss, SSIMLoss, SSIMMSELoss

__all__ = ["CharbonnierLoss", "CrossFrameAttention", "MSSSIMLoss", "SSIMLoss", "SSIMMSELoss"]
