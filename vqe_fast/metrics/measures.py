"""Measures by name, as an evaluation is asked for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from vqe_fast.metrics import feature_measures, natural_measures, pyiqa_measures
from vqe_fast.metrics.ffmpeg_measures import VMAF_MODELS, XPSNR
from vqe_fast.metrics.ffmpeg_program import ffmpeg_measure
from vqe_fast.metrics.measure import Measure

_BY_FFMPEG = (*VMAF_MODELS, XPSNR)

_MADE: dict[str, Callable[[torch.device], Measure]] = {
    "lpips": feature_measures.lpips,
    "lpips_vgg": feature_measures.lpips_vgg,
    "efficientnet_distance": feature_measures.efficientnet,
    "niqe": natural_measures.niqe,
    "brisque": natural_measures.brisque,
    "dists": pyiqa_measures.dists,
    "fid": pyiqa_measures.FID,
}

NAMES = (*_BY_FFMPEG, *_MADE)
"""All of them."""


def find_measures(names: Sequence[str], device: torch.device) -> list[Measure]:
    """The measures of some names, each once.

    Args:
        names: of :data:`NAMES`.
        device: where networks run.

    Raises:
        ValueError: an unknown name, or what a measure needs is not there.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(
            f"there is no measure {', '.join(unknown)}: choose among {', '.join(NAMES)}"
        )
    asked = list(dict.fromkeys(names))
    by_ffmpeg = [name for name in _BY_FFMPEG if name in asked]
    first = [ffmpeg_measure(by_ffmpeg)] if by_ffmpeg else []
    return [*first, *(_MADE[name](device) for name in asked if name in _MADE)]
