"""Draws what block matching finds between two frames of a clip: ``docs/block_match.png``.

Run: ``python benchmarks/plot_block_match.py``. The footage is that of ``vqe-fast demo``.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from vqe_fast.data.clips import read_clip
from vqe_fast.demonstration.demo import find_footage
from vqe_fast.ops import block_match, block_warp
from vqe_fast.video.frames.planes import luma_view

TARGET = Path(__file__).parents[1] / "docs" / "block_match.png"
FIRST = 48
SIZE = (416, 240)
BLOCK_SIZE = 8
LONGEST = 8.0
"""Pixels of a vector that is drawn in full colour."""
INK = "#1f2430"


def frames_of(path: Path) -> tuple[Tensor, Tensor]:
    """A frame of the clip and the one before, luma (1, 1, H, W) in [0, 1]."""
    frames = list(read_clip(path, FIRST + 2).frames)
    before, frame = (frames[at].reformat(*SIZE) for at in (FIRST, FIRST + 1))
    planes = (torch.tensor(luma_view(each))[None, None].float() / 255 for each in (frame, before))
    return next(planes), next(planes)


def colours(vectors: Tensor) -> np.ndarray:
    """RGB (h, w, 3) of vectors (2, h, w) in pixels: direction as hue, length as saturation."""
    x, y = vectors.numpy()
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1
    strength = np.clip(np.hypot(x, y) / LONGEST, 0, 1)
    return hsv_to_rgb(np.stack((hue, strength, np.ones_like(hue)), -1))


def show(panel: Axes, picture: Tensor, title: str, most: float = 1.0) -> None:
    """A plane in grey."""
    panel.imshow(picture, cmap="gray", vmin=0, vmax=most)
    panel.set_title(title, color=INK, fontsize=10)
    panel.set_axis_off()


def arrows(panel: Axes, vectors: Tensor) -> None:
    """One from the middle of each block that moves, ending where it lies in the other frame."""
    x, y = vectors.numpy()
    rows, columns = np.nonzero(np.hypot(x, y) >= 0.5)
    left, top = (BLOCK_SIZE * (at + 0.5) - 0.5 for at in (columns, rows))
    moved = (x[rows, columns], y[rows, columns])
    colour = colours(vectors)[rows, columns]
    options = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.0022}
    panel.quiver(left, top, *moved, color=colour, **options)


def draw(frame: Tensor, before: Tensor) -> Figure:
    """Vectors over the frame and as colours; differences without and with them."""
    vectors, _ = block_match(frame, before, block_size=BLOCK_SIZE)
    warped = block_warp(before, vectors, block_size=BLOCK_SIZE)
    moved = vectors[0].float() / 4
    figure = Figure(figsize=(12, 7.4), layout="constrained")
    panels = figure.subplots(2, 2)
    show(panels[0, 0], frame[0, 0] * 0.7, "frame, and where its blocks lie in the one before")
    arrows(panels[0, 0], moved)
    panels[0, 1].imshow(colours(moved), extent=(0, SIZE[0], SIZE[1], 0), interpolation="nearest")
    panels[0, 1].set_title("direction as hue, length as colour", color=INK, fontsize=10)
    panels[0, 1].set_axis_off()
    for panel, other, what in (
        (panels[1, 0], before, "the frame before"),
        (panels[1, 1], warped, "the frame before, warped"),
    ):
        difference = (frame - other).abs()
        title = f"difference to {what}: {255 * difference.mean():.1f} of 255"
        show(panel, difference[0, 0], title, most=0.25)
    figure.suptitle(f"Blocks of {BLOCK_SIZE}×{BLOCK_SIZE} pixels, to quarters of one", color=INK)
    return figure


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    draw(*frames_of(find_footage("bikes.mp4"))).savefig(TARGET, dpi=80)
    print(TARGET)
