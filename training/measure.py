"""What a model gains: PSNR and SSIM before and after, per clip and degradation."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from vqe_fast.metrics import psnr
from vqe_fast.models import spec_of
from vqe_fast.ops import ssim
from vqe_fast.training.color import Samples
from vqe_fast.training.pairs import PairedClip
from vqe_fast.training.whole import restored_frames


@dataclass(frozen=True)
class Measurement:
    """One clip at one setting; PSNR in dB and SSIM, each the mean over the frames."""

    clip: str
    setting: str
    psnr_before: float
    psnr_after: float
    ssim_before: float
    ssim_after: float

    @property
    def psnr_gain(self) -> float:
        """ΔPSNR in dB."""
        return self.psnr_after - self.psnr_before

    @property
    def ssim_gain(self) -> float:
        """ΔSSIM."""
        return self.ssim_after - self.ssim_before


@torch.inference_mode()
def measure(
    model: nn.Module,
    clips: Sequence[PairedClip],
    *,
    frame_step: int = 1,
    device: torch.device | None = None,
    qp: Literal["frame", "base"] = "frame",
    progress: Callable[[int, int], None] | None = None,
) -> list[Measurement]:
    """Runs ``model`` over the compressed clips, rounds to 8 bits as a file would, and compares.

    Args:
        model: a registered model; luma or RGB is compared, whichever it works on.
        clips: what to measure on.
        frame_step: every how many frames to measure; 1 takes all.
        device: where ``model`` is; the CPU if not given.
        qp: which QP a model is told that takes one.
        progress: told after each clip and setting how many are done, of how many.

    Returns:
        One measurement for each clip and setting.

    Raises:
        ValueError: the model takes QPs, and that of a frame is not known.
    """
    place = device or torch.device("cpu")
    planes = spec_of(model).planes
    rows: list[Measurement] = []
    total = sum(len(clip.settings) for clip in clips)
    for clip in clips:
        for setting in clip.settings:
            scenes = clip.scenes(setting)
            numbers = [n for scene in scenes for n in scene][::frame_step]
            pristine = clip.pristine(planes, setting)[numbers]
            before = clip.compressed(planes, setting)[numbers]
            restored = restored_frames(model, clip, setting, numbers, device=place, qp=qp)
            after = np.stack(list(restored)).reshape(pristine.shape)
            psnr_before, ssim_before = compare(before, pristine)
            psnr_after, ssim_after = compare(after, pristine)
            rows.append(
                Measurement(clip.name, setting, psnr_before, psnr_after, ssim_before, ssim_after)
            )
            if progress is not None:
                progress(len(rows), total)
    return rows


def compare(frames: Samples, original: Samples) -> tuple[float, float]:
    """PSNR in dB and SSIM of luma (T, H, W) or RGB (T, 3, H, W), each the mean over the frames.

    Raises:
        ValueError: the clips have another length or size.
    """
    if frames.shape != original.shape:
        raise ValueError(
            f"clips of one shape can be compared, not {frames.shape}, {original.shape}"
        )
    pairs = [(_as_image(a), _as_image(b)) for a, b in zip(frames, original, strict=True)]
    return fmean(float(psnr(a, b)) for a, b in pairs), fmean(float(ssim(a, b)) for a, b in pairs)


def write_csv(rows: Sequence[Measurement], path: Path) -> None:
    """Writes the measurements, a line each, under their field names."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Measurement)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def summarise(rows: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """Per setting: mean ΔPSNR and ΔSSIM over the clips, and the ΔPSNR of the worst clip."""
    settings = dict.fromkeys(row.setting for row in rows)
    return {
        setting: {
            "psnr_gain": fmean(row.psnr_gain for row in rows if row.setting == setting),
            "worst_psnr_gain": min(row.psnr_gain for row in rows if row.setting == setting),
            "ssim_gain": fmean(row.ssim_gain for row in rows if row.setting == setting),
        }
        for setting in settings
    }


def _as_image(frame: Samples) -> Tensor:
    image = torch.tensor(frame).float() / 255
    return image[None, None] if image.dim() == 2 else image[None]
