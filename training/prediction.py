"""Training of the quality predictor: QPs from luma."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast.training.windows import Batch

PREDICTOR = "quality_predictor"
"""What recipes call the model, which restores nothing and is not registered for that."""


class Predicted(NamedTuple):
    """QPs of the frames of a batch, (B) each."""

    output: Tensor
    actual: Tensor


class Prediction:
    """L1 between the predicted and the actual QP of a frame.

    Args:
        model: maps luma (B, 1, H, W) to (B).
    """

    def __init__(self, model: nn.Module) -> None:
        self.trained = model

    def __call__(self, model: nn.Module, batch: Batch) -> Predicted:
        """Looks at the compressed frames."""
        middle = batch.compressed.shape[1] // 2
        return Predicted(
            model(batch.compressed[:, middle].float() / 255).float(), batch.qp[:, middle]
        )

    def terms(self, predicted: Predicted) -> dict[str, Tensor]:
        """The mean error."""
        return {"error": F.l1_loss(predicted.output, predicted.actual)}

    def figures(self, predicted: Predicted) -> dict[str, Tensor]:
        """The same error, below 0."""
        return {"minus_error": -F.l1_loss(predicted.output, predicted.actual)}

    def picture(self, predicted: Predicted) -> None:
        """There is none."""
