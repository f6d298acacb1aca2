"""Photographs turned into short moving clips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vqe_fast.training.clips import Clip, read_image
from vqe_fast.training.color import rgb_of, yuv_of
from vqe_fast.video.color import ColorFacts

STILL_RATE = Fraction(25)
"""Frames per second of the clip that a photograph becomes."""

_BT709 = ColorFacts(matrix=1, full_range=False)


@dataclass(frozen=True)
class CameraMove:
    """How a photograph becomes a clip: a window that pans, zooms and turns by sub-pixel steps.

    Attributes:
        frames: length of the clip.
        size: width and height of the window in output pixels; even.
        minimum_shrink: the photograph is sampled at least this much coarser than its own grid,
            so that its own compression and demosaicing residue goes.

    Raises:
        ValueError: no frame, or a side that is odd or not positive.
    """

    frames: int = 6
    size: tuple[int, int] = (384, 288)
    minimum_shrink: float = 1.25

    def __post_init__(self) -> None:
        if self.frames < 1 or min(self.size) < 2 or any(side % 2 for side in self.size):
            raise ValueError(
                "a photograph becomes at least one frame with even sides, "
                f"got {self.frames} of {self.size[0]}x{self.size[1]}"
            )


def move_over_still(path: Path, move: CameraMove, seed: int) -> Clip:
    """Pans, zooms and turns over a photograph; the same seed gives the same clip."""
    picture = _read_rgb(path)
    height, width = picture.shape[-2:]
    generator = np.random.default_rng(seed)
    window = np.array(move.size, dtype=np.float64)
    largest_shrink = min((np.array([width, height]) / (1.15 * window)).min(), 3.0)
    shrink = generator.uniform(move.minimum_shrink, max(move.minimum_shrink, largest_shrink))
    # Shrinking by area first keeps the bicubic sampling below free of aliasing.
    small = functional.interpolate(
        picture[None], scale_factor=1 / shrink, mode="bicubic", antialias=True
    )
    speed = generator.normal(0, 2.0, 2)
    zoom = generator.normal(0, 0.004)
    turn = generator.normal(0, 0.3) * math.pi / 180
    room = np.array([small.shape[-1], small.shape[-2]]) - window
    start = window / 2 + generator.uniform(0, 1, 2) * np.maximum(room, 0)
    frames = []
    for index in range(move.frames):
        centre = start + speed * index
        view = _view(small, centre, move.size, (1 + zoom) ** index, turn * index)
        frames.append(yuv_of((view[0].clamp(0, 1) * 255).round().byte().numpy(), _BT709))
    return Clip(path.stem, frames, STILL_RATE)


def _read_rgb(path: Path) -> torch.Tensor:
    frame = read_image(path)
    return torch.from_numpy(rgb_of(frame, ColorFacts.of(frame))).float() / 255


def _view(
    picture: torch.Tensor,
    centre: NDArray[np.float64],
    size: tuple[int, int],
    zoom: float,
    angle: float,
) -> torch.Tensor:
    """Samples a window of ``size`` around ``centre``, both in pixels of ``picture``."""
    width, height = size
    x = torch.arange(width) - (width - 1) / 2
    y = torch.arange(height) - (height - 1) / 2
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    at_x = float(centre[0]) + cos * columns - sin * rows
    at_y = float(centre[1]) + sin * columns + cos * rows
    grid = torch.stack([2 * at_x / picture.shape[-1] - 1, 2 * at_y / picture.shape[-2] - 1], -1)
    return functional.grid_sample(
        picture, grid[None].float(), mode="bicubic", padding_mode="reflection", align_corners=False
    )
