"""What the training loop asks of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from vqe_fast.data.windows import Batch


class Objective(Protocol):
    """What is done with a batch, what it costs, and how well it was done."""

    trained: nn.Module
    """The part of the model that learns."""

    def __call__(self, model: nn.Module, batch: Batch) -> Any:
        """The result of ``model`` for a batch, whatever the other methods need."""

    def terms(self, result: Any) -> dict[str, Tensor]:
        """The terms of the loss; their sum is minimised."""

    def figures(self, result: Any) -> dict[str, Tensor]:
        """Means over the batch for people; the first says how good it is, more is better."""

    def picture(self, result: Any) -> Tensor | None:
        """(C, H, W) in [0, 1] to look at, where there is something to see."""


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of the terms."""
    summed: Tensor = sum(terms.values(), start=next(iter(terms.values())).new_zeros(()))
    return summed
