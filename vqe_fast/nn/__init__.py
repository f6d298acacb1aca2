"""Modules and losses built on the operators."""

from vqe_fast.nn.adversarial import (
    adversarial_discriminator_loss,
    adversarial_generator_loss,
    feature_matching_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
)
from vqe_fast.nn.attention import CrossFrameAttention
from vqe_fast.nn.charbonnier import CharbonnierLoss
from vqe_fast.nn.fusion import AdaptiveSpatialTemporalFusion, FusionStream, UnsharpMask
from vqe_fast.nn.lpips import LPIPS, TradeOffLoss
from vqe_fast.nn.modulation import QPModulatedConv2d, QPModulation, fold_qp
from vqe_fast.nn.msssim import MS_SSIM, SSIM, fused_ssim
from vqe_fast.nn.perceptual import (
    FeatureLoss,
    efficientnet_distance,
    efficientnet_feature_loss,
    galteri_feature_loss,
    multiscale_feature_loss,
    pequenet_feature_loss,
)
from vqe_fast.nn.similarity import MSSSIMLoss, SSIMLoss, SSIMMSELoss
from vqe_fast.nn.vif import contrast_loss, vif_loss

__all__ = [
    "LPIPS",
    "MS_SSIM",
    "SSIM",
    "AdaptiveSpatialTemporalFusion",
    "CharbonnierLoss",
    "CrossFrameAttention",
    "FeatureLoss",
    "FusionStream",
    "MSSSIMLoss",
    "QPModulatedConv2d",
    "QPModulation",
    "SSIMLoss",
    "SSIMMSELoss",
    "TradeOffLoss",
    "UnsharpMask",
    "adversarial_discriminator_loss",
    "adversarial_generator_loss",
    "contrast_loss",
    "efficientnet_distance",
    "efficientnet_feature_loss",
    "feature_matching_loss",
    "fold_qp",
    "fused_ssim",
    "galteri_feature_loss",
    "lsgan_discriminator_loss",
    "lsgan_generator_loss",
    "multiscale_feature_loss",
    "pequenet_feature_loss",
    "vif_loss",
]
