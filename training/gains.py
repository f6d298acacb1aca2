"""Gains of a model: PSNR and SSIM before and after, per clip and degradation."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from vqe_fast.data.color import Samples, split_planes
from vqe_fast.data.pairs import PairedClip
from vqe_fast.metrics import psnr
from vqe_fast.metrics.averages import BEST_PSNR, mean_of_damaged, mean_of_known
from vqe_fast.models import spec_of
from vqe_fast.models.inference import prepare_inference
from vqe_fast.models.registry import Planes
from vqe_fast.ops import ssim
from vqe_fast.training.full_frames import restored_frames
from vqe_fast.video.inference.strength import Strengths


@dataclass(frozen=True)
class Measurement:
    """PSNR and SSIM of one clip at one setting, means over the frames that compression changed.

    Where it changed none they are None.

    Attributes:
        clip: its name.
        setting: name of the degradation.
        psnr_before: of the compressed clip, in dB; of luma, or of RGB for a model that sees RGB.
        psnr_after: of the restored one.
        ssim_before: SSIM of the same planes.
        ssim_after: of the restored clip.
        chroma_before: PSNR in dB, the mean of that of Cb and that of Cr; None for a model that
            leaves them as they are.
        chroma_after: of the restored clip.
        distance_before: :func:`vqe_fast.nn.efficientnet_distance` of the compressed clip; None
            unless it was asked for.
        distance_after: of the restored clip.
    """

    clip: str
    setting: str
    psnr_before: float | None
    psnr_after: float | None
    ssim_before: float | None
    ssim_after: float | None
    chroma_before: float | None = None
    chroma_after: float | None = None
    distance_before: float | None = None
    distance_after: float | None = None

    @property
    def psnr_gain(self) -> float | None:
        """ΔPSNR in dB."""
        return _difference(self.psnr_before, self.psnr_after)

    @property
    def ssim_gain(self) -> float | None:
        """ΔSSIM."""
        return _difference(self.ssim_before, self.ssim_after)

    @property
    def chroma_gain(self) -> float | None:
        """ΔPSNR of chroma in dB."""
        return _difference(self.chroma_before, self.chroma_after)


def measure(
    model: nn.Module,
    clips: Sequence[PairedClip],
    *,
    frame_step: int = 1,
    device: torch.device | None = None,
    qp: Literal["frame", "base"] = "frame",
    strengths: Strengths | None = None,
    distance: nn.Module | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measurement]:
    """Restores compressed clips as enhancement does in float32, and measures PSNR and SSIM.

    See :func:`vqe_fast.training.full_frames.restored_frames` for what is run.

    Args:
        model: a registered model; luma or RGB is compared, whichever it works on, and chroma if it
            works on luma and chroma.
        clips: what to measure on.
        frame_step: every how many frames to measure; 1 takes all.
        device: where to run a copy of ``model``; the CPU if not given.
        qp: which QP a model is told that takes one.
        strengths: how much of its corrections is applied; None for all.
        distance: of images (B, C, H, W) in [0, 1], on the CPU, to be measured as well; for models
            of luma or RGB.
        progress: told after each clip and setting how many are done, of how many.

    Returns:
        One measurement for each clip and setting.

    Raises:
        ValueError: the model takes QPs, and that of a frame is not known; or memory does not
            suffice.
    """
    place = device or torch.device("cpu")
    ready, _ = prepare_inference(model, device=place, precision="fp32")
    rows: list[Measurement] = []
    total = sum(len(clip.settings) for clip in clips)
    for clip in clips:
        for setting in clip.settings:
            numbers = [n for scene in clip.scenes(setting) for n in scene][::frame_step]
            restored = restored_frames(
                ready, clip, setting, numbers, device=place, qp=qp, strengths=strengths
            )
            rows.append(
                _measurement(clip, setting, spec_of(model).planes, numbers, restored, distance)
            )
            if progress is not None:
                progress(len(rows), total)
    return rows


def compare(frames: Samples, original: Samples) -> tuple[float, float]:
    """PSNR in dB and SSIM of luma (T, H, W) or RGB (T, 3, H, W), each the mean over the frames.

    Equal frames count as 100 dB.

    Raises:
        ValueError: the clips have another length or size.
    """
    return fmean(_psnrs(frames, original)), fmean(_ssims(frames, original))


def write_csv(rows: Sequence[Measurement], path: Path) -> None:
    """Writes the measurements as CSV, under their field names; chroma and distance if there are."""
    names = [field.name for field in fields(Measurement)]
    for more in ("chroma", "distance"):
        if all(getattr(row, f"{more}_before") is None for row in rows):
            names = [name for name in names if not name.startswith(more)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def summarise(rows: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """Gains per setting, means over the clips that compression changed.

    Returns:
        Setting → ``psnr_gain`` and ``ssim_gain``, ``worst_psnr_gain``, that of the clip that gains
        least, and ``chroma_gain`` where it is known. Settings that changed no clip are left out.
    """
    summary: dict[str, dict[str, float]] = {}
    for setting in dict.fromkeys(row.setting for row in rows):
        chosen = [row for row in rows if row.setting == setting]
        psnr_gains = [row.psnr_gain for row in chosen if row.psnr_gain is not None]
        if not psnr_gains:
            continue
        others = {
            "ssim_gain": mean_of_known(row.ssim_gain for row in chosen),
            "chroma_gain": mean_of_known(row.chroma_gain for row in chosen),
        }
        summary[setting] = {
            "psnr_gain": fmean(psnr_gains),
            "worst_psnr_gain": min(psnr_gains),
            **{name: gain for name, gain in others.items() if gain is not None},
        }
    return summary


def _measurement(
    clip: PairedClip,
    setting: str,
    planes: Planes,
    numbers: Sequence[int],
    restored: Iterable[Samples],
    distance: nn.Module | None,
) -> Measurement:
    versions = (
        clip.compressed(planes, setting)[numbers],
        np.stack(list(restored)),
        clip.pristine(planes, setting)[numbers],
    )
    first, *chroma = (
        zip(*(split_planes(each, *clip.shape[1:]) for each in versions), strict=True)
        if planes == "yuv"
        else [versions]
    )
    of_chroma = [_means(_both(_psnrs, *plane)) for plane in chroma]
    psnrs = _both(_psnrs, *first)
    distances = _both(partial(_distances, distance), *first) if distance else []
    figures = _means([*psnrs, *_both(_ssims, *first), *distances])
    return Measurement(
        clip.name,
        setting,
        *figures[:4],
        *(map(mean_of_known, zip(*of_chroma, strict=True)) if chroma else (None, None)),
        *figures[4:],
    )


def _means(columns: Sequence[Sequence[float]]) -> list[float | None]:
    """Means over the frames that compression changed, which the first column tells: PSNR before."""
    return [mean_of_damaged(columns[0], column) for column in columns]


def _both(
    measure: Callable[[Samples, Samples], list[float]],
    compressed: Samples,
    restored: Samples,
    pristine: Samples,
) -> list[list[float]]:
    return [measure(each, pristine) for each in (compressed, restored)]


def _psnrs(frames: Samples, original: Samples) -> list[float]:
    return [float(psnr(*pair, ceiling=BEST_PSNR)) for pair in _images(frames, original)]


def _ssims(frames: Samples, original: Samples) -> list[float]:
    return [float(ssim(*pair)) for pair in _images(frames, original)]


@torch.inference_mode()
def _distances(distance: nn.Module, frames: Samples, original: Samples) -> list[float]:
    return [float(distance(*pair)) for pair in _images(frames, original)]


def _images(frames: Samples, original: Samples) -> Iterator[tuple[Tensor, Tensor]]:
    """Frame by frame, each (1, C, H, W)."""
    if frames.shape != original.shape:
        raise ValueError(
            f"clips of one shape can be compared, not {frames.shape}, {original.shape}"
        )
    for pair in zip(frames, original, strict=True):
        first, second = (_as_image(frame) for frame in pair)
        yield first, second


def _as_image(frame: Samples) -> Tensor:
    image = torch.tensor(frame).float() / 255
    return image[None, None] if image.dim() == 2 else image[None]


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
