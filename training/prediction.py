"""Objective of the quality predictor: QPs from luma."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast.data.windows import Batch
from vqe_fast.training.losses import build_losses
from vqe_fast.training.recipe import StageRecipe


class Predicted(NamedTuple):
    """Predicted and true QPs of the frames of a batch, (B) each."""

    output: Tensor
    actual: Tensor


class Prediction:
    """Objective that estimates the QP of frames.

    Args:
        model: maps luma (B, 1, H, W) to (B).
        stage: its loss compares predicted and actual QPs, so ``l1`` and ``mse`` make sense.
    """

    def __init__(self, model: nn.Module, stage: StageRecipe) -> None:
        self.trained = model
        self.losses = build_losses(stage.loss)

    def __call__(self, model: nn.Module, batch: Batch) -> Predicted:
        """Looks at the compressed frames."""
        middle = batch.compressed.shape[1] // 2
        return Predicted(
            model(batch.compressed[:, middle].float() / 255).float(), batch.qp[:, middle]
        )

    def terms(self, predicted: Predicted) -> dict[str, Tensor]:
        """The terms of the loss."""
        return {
            name: loss(predicted.output, predicted.actual) for name, loss in self.losses.items()
        }

    def figures(self, predicted: Predicted) -> dict[str, Tensor]:
        """The negative mean absolute error."""
        return {"minus_error": -F.l1_loss(predicted.output, predicted.actual)}

    def picture(self, predicted: Predicted) -> None:
        """No picture."""
