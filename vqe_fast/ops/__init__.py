"""The fused operators; :mod:`vqe_fast.reference` has each in plain PyTorch, same arguments."""

from vqe_fast.ops.charbonnier import charbonnier_loss

__all__ = ["charbonnier_loss"]
