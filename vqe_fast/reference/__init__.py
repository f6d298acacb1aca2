"""Every operator in plain PyTorch: what the kernels are validated against and fall back to."""

from vqe_fast.reference.attention import cross_frame_attention
from vqe_fast.reference.block_match import block_match, block_warp
from vqe_fast.reference.charbonnier import charbonnier_loss
from vqe_fast.reference.fusion import astf_fuse, astf_mask, local_variance, unsharp_mask
from vqe_fast.reference.modulation import qp_gains, qp_modulate
from vqe_fast.reference.ssim import ms_ssim, ms_ssim_loss, ssim, ssim_loss, ssim_mse_loss

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
