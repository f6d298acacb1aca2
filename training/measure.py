"""What a model gains: PSNR and SSIM of luma before and after, per clip and encoder setting."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from vqe_fast.ops import ssim
from vqe_fast.training.color import Luma
from vqe_fast.training.pairs import PairedClip


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


def psnr(image: Tensor, original: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of images in [0, 1]; infinite for equal images."""
    return float(-10 * torch.log10(torch.mean((image - original) ** 2)))


@torch.inference_mode()
def measure(
    model: nn.Module,
    clips: Iterable[PairedClip],
    *,
    frame_step: int = 1,
    device: torch.device | None = None,
) -> list[Measurement]:
    """Runs ``model`` over the compressed clips, rounds to 8 bits as a file would, and compares.

    Args:
        model: takes and returns float32 luma (1, 1, H, W) in [0, 1].
        clips: what to measure on.
        frame_step: every how many frames to measure; 1 takes all.
        device: where ``model`` is; the CPU if not given.

    Returns:
        One measurement for each clip and setting.
    """
    place = device or torch.device("cpu")
    rows = []
    for clip in clips:
        for setting in clip.settings:
            pristine = clip.pristine("y", setting)[::frame_step]
            before = clip.compressed("y", setting)[::frame_step]
            after = np.stack([_run(model, plane, place) for plane in before])
            psnr_before, ssim_before = compare(before, pristine)
            psnr_after, ssim_after = compare(after, pristine)
            rows.append(
                Measurement(clip.name, setting, psnr_before, psnr_after, ssim_before, ssim_after)
            )
    return rows


def compare(luma: Luma, original: Luma) -> tuple[float, float]:
    """PSNR in dB and SSIM of a clip's luma, (T, H, W), each the mean over the frames.

    Raises:
        ValueError: the clips have another length or size.
    """
    if luma.shape != original.shape:
        raise ValueError(f"clips of one shape can be compared, not {luma.shape}, {original.shape}")
    pairs = [(_as_image(a), _as_image(b)) for a, b in zip(luma, original, strict=True)]
    return fmean(psnr(a, b) for a, b in pairs), fmean(float(ssim(a, b)) for a, b in pairs)


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


def _as_image(plane: Luma) -> Tensor:
    return torch.tensor(plane)[None, None].float() / 255


def _run(model: nn.Module, plane: Luma, device: torch.device) -> Luma:
    enhanced = model(_as_image(plane).to(device))[0, 0] * 255
    rounded: Luma = enhanced.round().clamp(0, 255).byte().cpu().numpy()
    return rounded
