"""The interface of objectives: forward pass, loss and figures of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from vqe_fast.data.windows import Batch


class Objective(Protocol):
    """Interface of a task: forward pass, terms of the loss, figures, picture."""

    trained: nn.Module
    """The part of the model that learns."""

    def __call__(self, model: nn.Module, batch: Batch) -> Any:
        """The result of ``model`` for a batch, whatever the other methods need."""

    def terms(self, result: Any) -> dict[str, Tensor]:
        """The terms of the loss; their sum is minimised."""

    def figures(self, result: Any) -> dict[str, Tensor]:
        """Figures of quality, means over the batch; the first is the score, more is better."""

    def picture(self, result: Any) -> Tensor | None:
        """A picture, (C, H, W) in [0, 1], for TensorBoard, or None."""


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of a loss's terms."""
    summed: Tensor = sum(terms.values(), start=next(iter(terms.values())).new_zeros(()))
    return summed
