"""Draws where pixels of a frame look in its neighbours: ``docs/attention.png``, PeQuENet's Fig. 9.

Run: ``python benchmarks/plot_attention.py [WEIGHTS.safetensors]``. Without weights the network is
untrained and the picture says so. The footage is that of ``vqe-fast demo``.
"""

import sys
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vqe_fast import create_model
from vqe_fast.data.clips import read_clip
from vqe_fast.demonstration.demo import find_footage
from vqe_fast.video.frames.planes import luma_view
from vqe_fast.weights import load_weights

TARGET = Path(__file__).parents[1] / "docs" / "attention.png"
FIRST, APART = 100, 1
SIZE = (416, 240)
PIXELS = [(150, 118), (62, 250)]
INK, MARK = "#1f2430", "#ff5a36"
SHARPNESS = 12.0
"""Of untrained projections, which would look at everything alike."""


def frames_of(path: Path) -> Tensor:
    """Three frames of the clip, luma (1, 3, 1, H, W) in [0, 1]."""
    clip = read_clip(path, FIRST + 2 * APART + 1)
    frames = list(clip.frames)
    chosen = [frames[FIRST + APART * n].reformat(*SIZE) for n in range(3)]
    planes = [torch.tensor(luma_view(frame)) for frame in chosen]
    return torch.stack(planes)[None, :, None].float() / 255


@torch.inference_mode()
def maps_of(weights: Path | None, frames: Tensor) -> dict[str, Tensor]:
    """For each neighbour, (P, h, w), of sum 1 each."""
    torch.manual_seed(0)
    model = create_model("pequenet").eval()
    if weights:
        load_weights(model, weights)
    else:
        for name, parameter in model.named_parameters():
            if "attention" in name:
                parameter.mul_(SHARPNESS)
    return {name: maps[0] for name, maps in model.attention_maps(frames, PIXELS).items()}


def show(panel: Axes, luma: Tensor, title: str) -> None:
    """A frame in grey."""
    panel.imshow(luma, cmap="gray", vmin=0, vmax=1)
    panel.set_title(title, color=INK, fontsize=10)
    panel.set_axis_off()


def draw(frames: Tensor, maps: dict[str, Tensor], note: str) -> Figure:
    """A row for each pixel: the previous frame, the frame with the pixel, the following frame."""
    figure = Figure(figsize=(12, 2.5 * len(PIXELS) + 0.7), layout="constrained")
    rows = figure.subplots(len(PIXELS), 3, squeeze=False)
    for number, (row, (y, x)) in enumerate(zip(rows, PIXELS, strict=True)):
        show(row[1], frames[0, 1, 0], f"current frame, row {y}, column {x}")
        row[1].plot(x, y, "s", markersize=9, markerfacecolor="none", color=MARK, markeredgewidth=2)
        for panel, name, frame in ((row[0], "previous", 0), (row[2], "following", 2)):
            show(panel, frames[0, frame, 0] * 0.6, f"{name} frame")
            found = maps[name][number]
            height, width = frames.shape[-2:]
            strength = (found / found.max()).sqrt()
            panel.imshow(
                found,
                cmap="inferno",
                alpha=strength,
                extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            )
    figure.suptitle(f"Where a pixel looks in the neighbouring frames ({note})", color=INK)
    return figure


if __name__ == "__main__":
    weights = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    frames = frames_of(find_footage("bikes.mp4"))
    note = f"weights {weights.name}" if weights else "untrained network, VGG19 random too"
    TARGET.parent.mkdir(exist_ok=True)
    draw(frames, maps_of(weights, frames), note).savefig(TARGET, dpi=80)
    print(TARGET)
