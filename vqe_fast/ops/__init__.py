"""The fused operators; :mod:`vqe_fast.reference` has each in plain PyTorch, same arguments."""

from vqe_fast.ops.attention import cross_frame_attention
from vqe_fast.ops.charbonnier import charbonnier_loss
from vqe_fast.ops.ssim import ms_ssim, ms_ssim_loss, ssim, ssim_loss, ssim_mse_loss

__all__ = [
    "charbonnier_loss",
    "cross_frame_attention",
    "ms_ssim",
    "ms_ssim_loss",
    "ssim",
    "ssim_loss",
    "ssim_mse_loss",
]
