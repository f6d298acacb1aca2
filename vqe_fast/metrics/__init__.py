"""Metrics of image and video quality, for training, evaluation and comparison alike."""

from vqe_fast.metrics.bjontegaard import bd_psnr, bd_rate
from vqe_fast.metrics.flicker import FLICKER_THRESHOLD, FLICKER_WINDOW, Flicker
from vqe_fast.metrics.fluctuation import fluctuation, peak_valley_difference
from vqe_fast.metrics.psnr import psnr

__all__ = [
    "FLICKER_THRESHOLD",
    "FLICKER_WINDOW",
    "Flicker",
    "bd_psnr",
    "bd_rate",
    "fluctuation",
    "peak_valley_difference",
    "psnr",
]
