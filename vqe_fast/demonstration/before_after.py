"""Before-and-after picture: the same crops of three versions of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from vqe_fast.comparison.boxes import busiest_box
from vqe_fast.data.color import Luma
from vqe_fast.metrics import psnr

_CROP = (96, 72)


@dataclass(frozen=True)
class Versions:
    """Luma of one clip, each (T, H, W)."""

    compressed: Luma
    enhanced: Luma
    original: Luma


def draw_before_after(clips: Mapping[str, Versions], path: Path) -> None:
    """Writes a PNG with two rows for each clip: the crops that compression damaged most.

    They are chosen by the damage alone, whatever enhancement made of them.

    Args:
        clips: title → versions.
        path: the PNG to write.
    """
    rows = [
        (title, versions, frame, _worst_crop(versions, frame))
        for title, versions in clips.items()
        for frame in (len(versions.original) // 3, 2 * len(versions.original) // 3)
    ]
    figure = Figure(figsize=(10.5, 2.75 * len(rows)), layout="constrained")
    for axes, (title, versions, frame, crop) in zip(
        figure.subplots(len(rows), 3, squeeze=False), rows, strict=True
    ):
        original = versions.original[frame][crop]
        for axis, name in zip(axes, ("compressed", "enhanced", "original"), strict=True):
            shown = getattr(versions, name)[frame][crop]
            axis.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title(name if name == "original" else f"{name}: {_psnr(shown, original)} dB")
        axes[0].set_ylabel(f"{title}, frame {frame}")
    figure.savefig(path, dpi=110)


def _psnr(image: Luma, original: Luma) -> str:
    shown, expected = (torch.tensor(plane)[None, None] for plane in (image, original))
    value = float(psnr(shown, expected, peak=255))
    return "∞" if isinf(value) else f"{value:.2f}"


def _worst_crop(versions: Versions, frame: int) -> tuple[slice, slice]:
    """Where in a frame the squared error of the compressed version is greatest."""
    width, height = _CROP
    error = (versions.compressed[frame].astype(np.float64) - versions.original[frame]) ** 2
    left, top = busiest_box(error, width, height)
    return np.s_[top : top + height, left : left + width]
