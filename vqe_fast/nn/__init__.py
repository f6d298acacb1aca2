"""Modules and losses built on the operators."""

from vqe_fast.nn.losses import CharbonnierLoss, MSSSIMLoss, SSIMLoss, SSIMMSELoss

__all__ = ["CharbonnierLoss", "MSSSIMLoss", "SSIMLoss", "SSIMMSELoss"]
