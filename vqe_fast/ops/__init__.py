"""The fused operators; :mod:`vqe_fast.reference` has each in plain PyTorch, same arguments."""

from vqe_fast.ops.attention import cross_frame_attention
from vqe_fast.ops.block_match import block_match, block_warp
from vqe_fast.ops.charbonnier import charbonnier_loss
from vqe_fast.ops.fusion import astf_fuse, astf_mask, local_variance, unsharp_mask
from vqe_fast.ops.modulation import qp_gains, qp_modulate
from vqe_fast.ops.ssim import ms_ssim, ms_ssim_loss, ssim, ssim_loss, ssim_mse_loss

__all__ = [
    "astf_fuse",
    "astf_mask",
    "block_match",
    "block_warp",
    "charbonnier_loss",
    "cross_frame_attention",
    "local_variance",
    "ms_ssim",
    "ms_ssim_loss",
    "qp_gains",
    "qp_modulate",
    "ssim",
    "ssim_loss",
    "ssim_mse_loss",
    "unsharp_mask",
]
