"""Gains of a model on crops that were held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from vqe_fast.data.crops import CropSampler, Windows
from vqe_fast.metrics import psnr
from vqe_fast.models.coding import CODECS
from vqe_fast.training.losses import NO_ERROR

_BATCH = 32
_LUMA_COUNTS = 0.75  # as PSNR is often weighed: 6 of luma, 1 of either chroma
_MAX_PSNR = 100.0  # dB


@dataclass(frozen=True)
class Gains:
    """ΔPSNR in dB, means over the crops that have an error.

    Attributes:
        luma: of luma.
        chroma: of both planes of chroma together.
        codecs: FFmpeg's name → ``psnr_gain`` of luma, that of the crop that gains least,
            ``worst_psnr_gain``, and ``chroma_gain``.
    """

    luma: float
    chroma: float
    codecs: dict[str, dict[str, float]]

    @property
    def score(self) -> float:
        """The score to compare by: the mean over luma and chroma, weighed 6:1:1."""
        return _LUMA_COUNTS * self.luma + (1 - _LUMA_COUNTS) * self.chroma


@torch.no_grad()
def crop_gains(restore: Callable[[Windows], Tensor], crops: CropSampler) -> Gains:
    """Restores all crops and measures ΔPSNR.

    Args:
        restore: windows → what a model makes of them.
        crops: whole ones are taken.
    """
    luma, chroma, codecs = [], [], []
    for first in range(0, len(crops), _BATCH):
        windows = crops.whole(first, _BATCH)
        restored = restore(windows).float()
        luma.append(_gains(restored, windows, slice(None, 1)))
        chroma.append(_gains(restored, windows, slice(1, None)))
        codecs.append(windows.codec)
    columns = (torch.cat(column).tolist() for column in (luma, chroma, codecs))
    rows = list(zip(*columns, strict=True))
    found = sorted({code for *_, code in rows})
    return Gains(
        _mean(each for each, _, _ in rows),
        _mean(each for _, each, _ in rows),
        {CODECS[code]: _summary([row for row in rows if row[2] == code]) for code in found},
    )


def _gains(restored: Tensor, windows: Windows, channels: slice) -> Tensor:
    """ΔPSNR of each crop in dB; infinite where compression changed next to nothing."""
    output, compressed, pristine = (
        frames[:, channels] for frames in (restored, windows.compressed, windows.pristine)
    )
    before, after = (
        psnr(frames.clamp(0, 1), pristine, ceiling=_MAX_PSNR) for frames in (compressed, output)
    )
    error = (compressed - pristine).square().mean((1, 2, 3))
    return torch.where(error > NO_ERROR, after - before, torch.inf)


def _summary(rows: list[tuple[float, float, int]]) -> dict[str, float]:
    luma = [row[0] for row in rows]
    return {
        "psnr_gain": _mean(luma),
        "worst_psnr_gain": min(_known(luma), default=0.0),
        "chroma_gain": _mean(row[1] for row in rows),
    }


def _mean(gains: Iterable[float]) -> float:
    """Over the crops that have an error; 0 if none has."""
    known = _known(gains)
    return fmean(known) if known else 0.0


def _known(gains: Iterable[float]) -> list[float]:
    return [gain for gain in gains if gain != math.inf]
