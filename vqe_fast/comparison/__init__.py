"""Comparison of two versions of a video: an HTML page, stills, temporal profiles."""

from vqe_fast.comparison.compare import ComparisonReport, compare_videos
from vqe_fast.comparison.crop import Crop
from vqe_fast.comparison.profile import Line, draw_profile
from vqe_fast.comparison.stills import draw_stills

__all__ = [
    "ComparisonReport",
    "Crop",
    "Line",
    "compare_videos",
    "draw_profile",
    "draw_stills",
]
