"""Modules and losses built on the operators."""

from vqe_fast.nn.losses import CharbonnierLoss

__all__ = ["CharbonnierLoss"]
