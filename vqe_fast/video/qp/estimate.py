"""QP estimation from a frame's samples, where the stream does not tell QPs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, cuda

from vqe_fast.models.galteri import PREDICTOR, QualityPredictor
from vqe_fast.weights import load_shipped, shipped, shipped_options

Estimator = Callable[[Callable[[], Tensor]], float]
"""From what gives luma, (1, 1, H, W) in [0, 1], to its QP."""


def find_estimator(device: torch.device) -> Estimator | None:
    """The shipped quality predictor on ``device``; None if none ships.

    On a GPU it has a stream of its own: who waits for a QP does not wait for the model's frames.
    """
    if PREDICTOR not in shipped():
        return None
    predictor = QualityPredictor(**shipped_options(PREDICTOR))
    load_shipped(predictor, PREDICTOR)
    predictor.eval().to(device)
    stream = cuda.Stream(device) if device.type == "cuda" else None

    @torch.inference_mode()
    def estimate(luma: Callable[[], Tensor]) -> float:
        with nullcontext() if stream is None else cuda.stream(stream):
            return float(predictor(luma()))

    return estimate
