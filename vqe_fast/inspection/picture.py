"""The picture of ``vqe-fast inspect``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vqe_fast.inspection.inspect import Inspection
from vqe_fast.video import FrameQP

_COLOURS = {"I": "#c8443c", "P": "#2f6fb0", "B": "#8fb8de", "?": "#8a8f98"}
_INK, _MUTED, _GRID = "#1f2430", "#5c6370", "#d9dce1"
_WIDTH, _MAX_PICTURE_HEIGHT = 11, 7  # inches


def draw(
    inspection: Inspection,
    number: int,
    frame: FrameQP,
    luma: npt.NDArray[np.uint8],
    path: Path,
) -> None:
    """Writes a PNG: QP and size of every frame by type, and the QPs of one over its picture.

    Args:
        inspection: the video.
        number: which frame it is whose picture is drawn, counted from 0.
        frame: what is known of it.
        luma: its luma, (H, W).
        path: the PNG.
    """
    tall = min(0.86 * _WIDTH * luma.shape[0] / luma.shape[1], _MAX_PICTURE_HEIGHT)
    figure = Figure(figsize=(_WIDTH, 4.2 + tall), layout="constrained")
    qps, sizes, picture = figure.subplots(3, 1, height_ratios=[2.2, 1.4, tall])
    sizes.sharex(qps)
    _draw_over_time(qps, sizes, inspection, number)
    _draw_blocks(picture, number, frame, luma)
    figure.savefig(path, dpi=110, format="png")


def _draw_over_time(qps: Axes, sizes: Axes, inspection: Inspection, number: int) -> None:
    frames = inspection.frames
    known = [(i, frame.qp) for i, frame in enumerate(frames) if frame.qp is not None]
    if known:
        qps.plot(*zip(*known, strict=True), color=_GRID, linewidth=1, zorder=1)
    for kind, colour in _COLOURS.items():
        indices = [i for i, frame in enumerate(frames) if frame.type == kind]
        if indices:
            of_kind = np.array([frames[i].qp for i in indices], np.float64)  # None is NaN
            qps.scatter(indices, of_kind, 14, colour, label=kind, zorder=2)
            sizes.bar(indices, [frames[i].size for i in indices], 0.9, color=colour)
    facts = inspection.facts
    title = f"{facts.codec}, {facts.width}×{facts.height}: {'QP' if known else 'QP unknown'}"
    qps.set_title(title, color=_INK, loc="left")
    sizes.set_title("bytes", color=_INK, loc="left")
    sizes.set_xlabel("frame", color=_INK)
    qps.legend(ncols=4, frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1))
    qps.tick_params(labelbottom=False)
    for axes in (qps, sizes):
        axes.axvline(number, color=_MUTED, linewidth=0.8, linestyle=":")
        axes.margins(x=0.01)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(colors=_MUTED, length=0)
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)


def _draw_blocks(axes: Axes, number: int, frame: FrameQP, luma: npt.NDArray[np.uint8]) -> None:
    height, width = luma.shape
    axes.imshow(luma, cmap="gray", vmin=0, vmax=255)
    title = f"frame {number}, {frame.type}"
    if frame.blocks is None or frame.block_size is None:
        title += ": the QP of its blocks is not known"
    else:
        rows, columns = (side * frame.block_size for side in frame.blocks.shape)
        mapped = axes.imshow(
            frame.blocks,
            cmap="viridis",
            alpha=0.5,
            extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
            interpolation="nearest",
        )
        bar = axes.figure.colorbar(mapped, ax=axes, pad=0.01, fraction=0.03)
        bar.ax.tick_params(colors=_MUTED, length=0)
        title += f": QP of each {frame.block_size}×{frame.block_size} block"
    axes.set_title(title, color=_INK, loc="left")
    axes.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.spines[:].set_visible(False)
