"""PSNR and SSIM between two pictures of the same moment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vqe_fast.comparison.footage import Shown
from vqe_fast.comparison.matching import Videos
from vqe_fast.metrics import psnr
from vqe_fast.ops import ssim


@dataclass(frozen=True)
class Quality:
    """PSNR of luma in dB, infinite for equal pictures, and SSIM of luma."""

    psnr: float
    ssim: float


def lumas(videos: Videos, moment: tuple[Shown, ...]) -> list[Tensor]:
    """The cropped luma of each video, (1, 1, H, W), in steps of 8 bits."""
    rows, columns = videos.crop.slices
    return [
        footage.luma(shown, full_range=videos.full_range)[..., rows, columns]
        for footage, shown in zip(videos.footage, moment, strict=True)
    ]


@torch.inference_mode()
def measure(videos: Videos, moment: tuple[Shown, ...]) -> list[Quality]:
    """Quality of A and B against the reference; without one, of A against B alone."""
    shown = lumas(videos, moment)
    *compared, reference = shown
    return [quality(each, reference) for each in compared]


def quality(luma: Tensor, reference: Tensor) -> Quality:
    """Quality of one picture, both (1, 1, H, W) in steps of 8 bits."""
    return Quality(
        float(psnr(luma, reference, peak=255)),
        float(ssim(luma.contiguous() / 255, reference.contiguous() / 255)),
    )
