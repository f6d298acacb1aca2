"""Measures of the quality of images and clips, for training, evaluation and comparison alike."""

from vqe_fast.metrics.psnr import psnr

__all__ = ["psnr"]
