"""Fluctuation of a clip's quality over time, as in the papers on multi-frame enhancement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, pstdev


def fluctuation(values: Sequence[float]) -> float:
    """Standard deviation of a figure over the frames of a clip, √(Σ(xₜ − x̄)² / T).

    Args:
        values: of each frame, such as PSNR in dB; at least one.

    Returns:
        In the unit of the values.
    """
    return pstdev(values)


def peak_valley_difference(values: Sequence[float]) -> float:
    """Mean difference between neighbouring peaks and valleys of a figure over the frames of a clip.

    A peak is a frame above both of its neighbours, a valley one below both; frames of equal value
    in a row count as one, and the first and the last frame are neither.

    Args:
        values: of each frame, such as PSNR in dB.

    Returns:
        In the unit of the values; 0 where there are not two of them beside each other.
    """
    distinct = [*values[:1], *(later for earlier, later in pairwise(values) if later != earlier)]
    turns = [
        here
        for before, here, after in zip(distinct, distinct[1:], distinct[2:], strict=False)
        if (here > before) == (here > after)
    ]
    return fmean(abs(later - earlier) for earlier, later in pairwise(turns)) if turns[1:] else 0.0
