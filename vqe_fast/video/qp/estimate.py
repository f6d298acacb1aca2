"""QPs of frames whose stream does not tell, from what they look like."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vqe_fast.models.galteri import PREDICTOR, QualityPredictor
from vqe_fast.weights import load_shipped, shipped, shipped_options


def find_estimator(device: torch.device) -> Callable[[Tensor], float] | None:
    """The quality predictor that ships: luma (1, 1, H, W) in [0, 1] → QP; None if none does."""
    if PREDICTOR not in shipped():
        return None
    predictor = QualityPredictor(**shipped_options(PREDICTOR))
    load_shipped(predictor, PREDICTOR)
    predictor.eval().to(device)

    @torch.inference_mode()
    def estimate(luma: Tensor) -> float:
        return float(predictor(luma))

    return estimate
