"""Dtype of a model's weights, and models called in it that take and return float32."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from vqe_fast.models.registry import spec_of


def weights_of(model: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers of a model that are no whole numbers."""
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point() or tensor.is_complex():
            yield tensor


class InWeightsDtype(nn.Module):
    """A model in the dtype of its weights, float32 outside.

    Frames, and what is told beside in tensors of real numbers, go in in the dtype of the model's
    weights, or in float32 if it has none; where that is mixed, in that of its first kernel or
    matrix, which is what frames meet; what comes back is turned into float32.

    Args:
        model: ready to run; one that does not cast by itself.

    Attributes:
        model: the model.
        spec: its own.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.spec = spec_of(model)
        real = [weight for weight in weights_of(model) if weight.is_floating_point()]
        kernels_first = sorted(real, key=lambda weight: weight.dim() < 2)
        self._dtype = kernels_first[0].dtype if real else torch.float32

    def forward(self, frames: Tensor, *told: float | Tensor) -> Tensor:
        """What the model gives, in float32.

        Raises:
            TypeError: that is no tensor.
        """
        return self.outgoing(self.model(*self.incoming(frames, *told)))

    def incoming(self, *values: float | Tensor) -> Iterator[float | Tensor]:
        """Arguments in the dtype of the weights."""
        for value in values:
            is_real = isinstance(value, Tensor) and value.is_floating_point()
            yield cast(Tensor, value).to(self._dtype) if is_real else value

    def outgoing(self, result: object) -> Tensor:
        """A result in float32."""
        if not isinstance(result, Tensor):
            raise TypeError(
                f"the model {type(self.model).__name__} returned a {type(result).__name__}; "
                "its forward must return a tensor"
            )
        return result.float()


class StreamedInWeightsDtype(InWeightsDtype):
    """The same for a model with streams."""

    def stream(self, *frames: int) -> _Stream:
        """A stream of the model."""
        return _Stream(self, cast(Any, self.model).stream(*frames))


class _Stream:
    def __init__(self, model: InWeightsDtype, stream: Any) -> None:
        self._model = model
        self._stream = stream

    def push(self, frame: Tensor, *told: float | Tensor) -> Tensor | None:
        """Takes a frame; gives the one that is ready, if any."""
        return self._outgoing(self._stream.push(*self._model.incoming(frame, *told)))

    def flush(self) -> Tensor | None:
        """The next of the frames that are left, or None."""
        return self._outgoing(self._stream.flush())

    def _outgoing(self, result: object) -> Tensor | None:
        return None if result is None else self._model.outgoing(result)


def in_weights_dtype(model: nn.Module) -> nn.Module:
    """The model itself if it casts by itself, else one that does so for it."""
    if spec_of(model).casts_inputs:
        return model
    has_stream = callable(getattr(model, "stream", None))
    return StreamedInWeightsDtype(model) if has_stream else InWeightsDtype(model)
