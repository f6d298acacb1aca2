"""Streaming inference: sliding windows of three that compute each frame's features once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.tiling import Tiling


class FrameStream(Protocol):
    """Interface of ``model.stream()``; see :class:`vqe_fast.models.pequenet.PeQuENetStream`."""

    def push(self, luma: Tensor, qp: float | Tensor | None = None) -> Tensor | None:
        """Takes the next frame, gives the enhanced one before it."""
        ...

    def flush(self) -> Tensor | None:
        """The last enhanced frame."""
        ...


class _Streaming(Protocol):
    def stream(self) -> FrameStream: ...


def has_stream(model: nn.Module) -> bool:
    """Whether :class:`StreamedRunner` can run ``model``."""
    return spec_of(model).temporal_radius == 1 and callable(getattr(model, "stream", None))


class StreamedRunner(Runner):
    """Runner of a model's streams, one for each tile, for the result of a sliding window.

    Each tile has a stream of its own. After memory has run out they begin anew, with the last two
    frames, in smaller tiles.

    Args:
        model: ready to run, with a method ``stream()`` that returns a :class:`FrameStream`.
        tiling: how frames are cut.
    """

    def __init__(self, model: nn.Module, tiling: Tiling) -> None:
        self._model = model
        self._tiling = tiling
        self._recent: list[tuple[Tensor, float | None]] = []
        self._streams: list[FrameStream] | None = None

    @torch.inference_mode()
    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes a frame; gives the one before it, if that is of the same scene."""
        if frame.begins_scene:
            yield from self.flush()
        values = frame.values()
        qp = None if frame.coding is None else frame.coding.qp
        enhanced = self._tiling.attempt(lambda: self._advance(values, qp), values.device)
        self._recent = [*self._recent[-1:], (values, qp)]
        if enhanced is not None:
            yield enhanced

    @torch.inference_mode()
    def flush(self) -> Iterator[Tensor]:
        """Gives the last frame of the scene."""
        if not self._recent:
            return
        values = self._recent[-1][0]
        yield self._tiling.attempt(lambda: self._finish(values), values.device)
        self._recent, self._streams = [], None

    def _advance(self, values: Tensor, qp: float | None) -> Tensor | None:
        streams = self._taken()
        if self._recent:
            enhanced = self._tiling.run(
                values, lambda tile, window: cast(Tensor, streams[tile.number].push(window, qp))
            )
        else:
            self._begin(streams, values, qp)
            enhanced = None
        self._streams = streams
        return enhanced

    def _finish(self, values: Tensor) -> Tensor:
        streams = self._taken()
        return self._tiling.run(values, lambda tile, _: cast(Tensor, streams[tile.number].flush()))

    def _taken(self) -> list[FrameStream]:
        """The streams, to be put back when they are a frame further: a failure leaves none."""
        streams, self._streams = self._streams, None
        if streams is None:
            model = cast(_Streaming, self._model)
            streams = [model.stream() for _ in self._tiling.tiles()]
            for values, qp in self._recent:
                self._begin(streams, values, qp)
        return streams

    def _begin(self, streams: list[FrameStream], values: Tensor, qp: float | None) -> None:
        for stream, tile in zip(streams, self._tiling.tiles(), strict=True):
            stream.push(values[(..., *tile.window)], qp)
