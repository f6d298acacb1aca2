"""Pristine material: video clips as they are, photographs turned into short moving clips."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

STILL_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
SUFFIXES = STILL_SUFFIXES | {".mkv", ".mp4", ".mov", ".webm", ".avi", ".y4m"}


@dataclass(frozen=True)
class Clip:
    """A pristine clip: yuv420p frames of one size in display order."""

    name: str
    frames: list[av.VideoFrame]
    rate: Fraction


@dataclass(frozen=True)
class CameraMove:
    """How a photograph becomes a clip: a window that pans, zooms and turns by sub-pixel steps.

    Attributes:
        frames: length of the clip.
        size: width and height of the window in output pixels.
        minimum_shrink: the photograph is sampled at least this much coarser than its own grid,
            so that its own compression and demosaicing residue goes.
    """

    frames: int = 6
    size: tuple[int, int] = (384, 288)
    minimum_shrink: float = 1.25


def read_clip(path: Path, frames: int | None = None) -> Clip:
    """Reads a video file, at most ``frames`` frames of it, as yuv420p.

    Raises:
        ValueError: the file has no video frame.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or Fraction(25)
        decoded: list[av.VideoFrame] = []
        for frame in container.decode(stream):
            if frames is not None and len(decoded) == frames:
                break
            decoded.append(frame.reformat(format="yuv420p"))
    if not decoded:
        raise ValueError(f"{path} holds no video frame")
    return Clip(path.stem, decoded, Fraction(rate))


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
        array = (view[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
        frames.append(frame.reformat(format="yuv420p", dst_colorspace="ITU709"))
    return Clip(path.stem, frames, Fraction(25))


def clip_paths(folder: Path) -> list[Path]:
    """The clips and photographs below ``folder``, sorted.

    Raises:
        ValueError: the folder holds neither, or does not exist.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"{folder} holds no clip or photograph ({', '.join(sorted(SUFFIXES))})")
    return paths


def read_clip_or_still(path: Path, move: CameraMove, seed: int) -> Clip:
    """A clip as it is, a photograph as a clip that :func:`move_over_still` makes of it."""
    if path.suffix.lower() in STILL_SUFFIXES:
        return move_over_still(path, move, seed)
    return read_clip(path)


def _read_rgb(path: Path) -> torch.Tensor:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        picture = torch.from_numpy(frame.to_ndarray(format="rgb24"))
    return picture.permute(2, 0, 1).float() / 255


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
