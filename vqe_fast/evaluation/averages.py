"""Means over figures of which some are missing."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there; None if none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
