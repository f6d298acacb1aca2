"""Means over figures of which some are missing, or do not count."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

BEST_PSNR = 100.0
"""PSNR in dB of equal frames, and the most that a frame can have: means stay finite."""


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Mean of the figures that are there; None if none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def mean_of_damaged(before: Iterable[float], values: Iterable[float]) -> float | None:
    """Mean over the frames that compression changed; None if it changed none.

    Equal frames have nothing to gain, and a step of 8 bits would cost them 50 dB.

    Args:
        before: PSNR of each compressed frame in dB, :data:`BEST_PSNR` at most.
        values: of each frame.
    """
    pairs = zip(before, values, strict=True)
    return mean_of_known(value for psnr, value in pairs if psnr < BEST_PSNR)
