"""Clips made of photographs by a virtual camera."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vqe_fast.data.clips import Clip, read_image
from vqe_fast.data.color import rgb_of, yuv_of
from vqe_fast.video.frames.color import ColorFacts

STILL_RATE = Fraction(25)
"""Frames per second of the clip that a photograph becomes."""

_BT709 = ColorFacts(matrix=1, full_range=False)
_WAVES = (2, 3, 4)  # around a blob


Layers = Literal[1, 2]
"""A photograph alone, or with a part of it that moves before it."""


@dataclass(frozen=True)
class CameraMove:
    """Virtual camera over a photograph: a window that pans, zooms and turns by sub-pixel steps.

    Attributes:
        frames: length of the clip.
        size: width and height of the window in output pixels; even.
        minimum_shrink: the photograph is sampled at least this much coarser than its own grid,
            so that its own compression and demosaicing residue goes.
        layers: with 2 a part of the same photograph, mirrored and with the outline of a blob, moves
            before it in its own way, so that it hides and uncovers what is behind.
        resting: the share of photographs over which the camera stands still, by chance. Encoders
            copy what rests from frames of lower QPs: it is better than the QP of its frame tells.
        speed: of all that moves, 1 being about that of video at 25 frames a second. What cameras of
            240 frames a second see is ten times as slow, and so are exposures made of their frames.

    Raises:
        ValueError: no frame, a side that is odd or not positive, another number of layers, a share
            outside 0 to 1, or a speed that is not positive.
    """

    frames: int = 6
    size: tuple[int, int] = (384, 288)
    minimum_shrink: float = 1.25
    layers: Layers = 1
    resting: float = 0.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        if self.frames < 1 or min(self.size) < 2 or any(side % 2 for side in self.size):
            raise ValueError(
                "a photograph becomes at least one frame with even sides, "
                f"got {self.frames} of {self.size[0]}x{self.size[1]}"
            )
        if self.layers not in (1, 2):
            raise ValueError(f"a photograph has 1 or 2 layers, got {self.layers}")
        if not 0 <= self.resting <= 1:
            raise ValueError(f"the share that rests must be in 0 to 1, got {self.resting}")
        if not 0 < self.speed < math.inf:
            raise ValueError(f"the speed must be a positive number, got {self.speed}")


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
    behind = _Path.draw(small, move.size, generator).at_speed(move.speed)
    before: list[tuple[_Path, _Blob]] = []
    if move.layers == 2:
        path_before = _Path.draw(small, move.size, generator).at_speed(move.speed)
        before = [(path_before, _Blob.draw(path_before.start, move.size, generator))]
    # Drawn last, so that a seed gives the same clip as from before there was rest.
    if generator.uniform() < move.resting:
        behind = behind.at_speed(0.0)
    mirrored = small.flip(-1)
    frames = []
    for index in range(move.frames):
        view = _view(small, behind.points(move.size, index))
        for track, blob in before:
            points = track.points(move.size, index)
            view = torch.lerp(view, _view(mirrored, points), blob.opacity(points))
        frames.append(yuv_of((view * 255).round().byte().numpy(), _BT709))
    return Clip(path.stem, frames, STILL_RATE)


@dataclass(frozen=True)
class _Path:
    """Where a window lies in a picture: it goes and turns at constant speed, and zooms evenly.

    Attributes:
        start: its centre in the first frame, in pixels of the picture.
        speed: pixels a frame.
        zoom: by which its side grows with each frame, as a share.
        turn: radians a frame.
    """

    start: NDArray[np.float64]
    speed: NDArray[np.float64]
    zoom: float
    turn: float

    @classmethod
    def draw(
        cls, picture: torch.Tensor, size: tuple[int, int], generator: np.random.Generator
    ) -> _Path:
        speed = generator.normal(0, 2.0, 2)
        zoom = generator.normal(0, 0.004)
        turn = generator.normal(0, 0.3) * math.pi / 180
        window = np.array(size, dtype=np.float64)
        room = np.array([picture.shape[-1], picture.shape[-2]]) - window
        start = window / 2 + generator.uniform(0, 1, 2) * np.maximum(room, 0)
        return cls(start, speed, zoom, turn)

    def at_speed(self, factor: float) -> _Path:
        return replace(
            self, speed=factor * self.speed, zoom=factor * self.zoom, turn=factor * self.turn
        )

    def points(self, size: tuple[int, int], index: int) -> torch.Tensor:
        """Where in the picture the pixels of a frame lie, (H, W, 2): across and down."""
        width, height = size
        x = torch.arange(width) - (width - 1) / 2
        y = torch.arange(height) - (height - 1) / 2
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        centre, angle = self.start + self.speed * index, self.turn * index
        zoom = (1 + self.zoom) ** index
        cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
        at_x = float(centre[0]) + cos * columns - sin * rows
        at_y = float(centre[1]) + sin * columns + cos * rows
        return torch.stack([at_x, at_y], -1)


@dataclass(frozen=True)
class _Blob:
    """A circle with three waves around: at angle a its radius is r (1 + Σ w[k] cos(k a + p[k])).

    Attributes:
        centre: in pixels of the picture that it is cut from.
        radius: r, in pixels.
        waves: w of 2, 3 and 4 waves around; together below 1.
        phases: p of them.
        edge: pixels over which it fades.
    """

    centre: NDArray[np.float64]
    radius: float
    waves: NDArray[np.float64]
    phases: NDArray[np.float64]
    edge: float

    @classmethod
    def draw(
        cls, middle: NDArray[np.float64], size: tuple[int, int], generator: np.random.Generator
    ) -> _Blob:
        """One somewhere in a window of ``size`` around ``middle``."""
        return cls(
            centre=middle + generator.uniform(-0.35, 0.35, 2) * size,
            radius=generator.uniform(0.2, 0.4) * min(size),
            waves=generator.uniform(0, 0.2, len(_WAVES)),
            phases=generator.uniform(0, 2 * math.pi, len(_WAVES)),
            edge=generator.uniform(1, 3),
        )

    def opacity(self, points: torch.Tensor) -> torch.Tensor:
        """From 0 outside to 1 inside, (H, W), at points (H, W, 2)."""
        x, y = (points - torch.from_numpy(self.centre).float()).unbind(-1)
        angle, radius, slope = torch.atan2(y, x), torch.ones_like(x), torch.zeros_like(x)
        for count, wave, phase in zip(_WAVES, self.waves, self.phases, strict=True):
            radius += wave * torch.cos(count * angle + phase)
            slope -= count * wave * torch.sin(count * angle + phase)
        # To the first order, the distance from an outline that is not at right angles to the ray.
        inside = (self.radius * radius - torch.hypot(x, y)) / (1 + (slope / radius) ** 2).sqrt()
        return (inside / self.edge + 0.5).clamp(0, 1)


def _read_rgb(path: Path) -> torch.Tensor:
    frame = read_image(path)
    return torch.from_numpy(rgb_of(frame, ColorFacts.of(frame))).float() / 255


def _view(picture: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The picture, (1, 3, H', W'), at points (H, W, 2): (3, H, W), from 0 to 1."""
    height, width = picture.shape[-2:]
    grid = 2 * points / torch.tensor([width, height]) - 1
    view = functional.grid_sample(
        picture, grid[None], mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return view[0].clamp(0, 1)
