"""Streaming inference: sliding windows that compute what belongs to a frame once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.video.inference.frame_coding import of_frame
from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.tiling import Tiling


class FrameStream(Protocol):
    """Interface of ``model.stream()``; see :class:`vqe_fast.models.pequenet.PeQuENetStream`."""

    def push(self, frames: Tensor, *coding: float) -> Tensor | None:
        """Takes the next frame, gives the enhanced one ``temporal_radius`` before it.

        Args:
            frames: (B, C, H, W).
            *coding: QP of the frame, codec and type, as far as the model takes them.
        """
        ...

    def flush(self) -> Tensor | None:
        """The next enhanced frame of those that are left, or None."""
        ...


class _Streaming(Protocol):
    def stream(self) -> FrameStream: ...


def has_stream(model: nn.Module) -> bool:
    """Whether :class:`StreamedRunner` can run ``model``."""
    return spec_of(model).temporal_radius > 0 and callable(getattr(model, "stream", None))


class StreamedRunner(Runner):
    """Runner of a model's streams, one for each tile, for the result of a sliding window.

    Each tile has a stream of its own. After memory has run out they begin anew, in smaller tiles,
    with as many of the last frames as the next result depends on.

    Args:
        model: ready to run, with a method ``stream()`` that returns a :class:`FrameStream`.
        tiling: how frames are cut.
    """

    def __init__(self, model: nn.Module, tiling: Tiling) -> None:
        self._model = model
        self._tiling = tiling
        self._spec = spec_of(model)
        self._radius = self._spec.temporal_radius
        self._recent: list[tuple[Tensor, tuple[float, ...]]] = []
        self._waiting = 0  # frames of the scene that have not come back
        self._streams: list[FrameStream] | None = None

    @torch.inference_mode()
    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes a frame; gives the one ``temporal_radius`` before it, if that is of its scene."""
        if frame.begins_scene:
            yield from self.flush()
        values, coding = frame.values(), of_frame(frame.coding, self._spec)
        enhanced = self._tiling.attempt(lambda: self._advance(values, coding), values.device)
        self._recent = [*self._recent, (values, coding)][-2 * self._radius :]
        if enhanced is None:
            self._waiting += 1
        else:
            yield enhanced

    @torch.inference_mode()
    def flush(self) -> Iterator[Tensor]:
        """Gives the last frames of the scene."""
        while self._waiting:
            values = self._recent[-1][0]
            yield self._tiling.attempt(functools.partial(self._finish, values), values.device)
            self._waiting -= 1
        self._recent, self._streams = [], None

    def _advance(self, values: Tensor, coding: tuple[float, ...]) -> Tensor | None:
        streams = self._taken()
        if self._waiting == self._radius:
            enhanced = self._tiling.run(
                values,
                lambda tile, window: cast(Tensor, streams[tile.number].push(window, *coding)),
            )
        else:
            self._begin(streams, values, coding)
            enhanced = None
        self._streams = streams
        return enhanced

    def _finish(self, values: Tensor) -> Tensor:
        streams = self._taken()
        enhanced = self._tiling.run(
            values, lambda tile, _: cast(Tensor, streams[tile.number].flush())
        )
        self._streams = streams
        return enhanced

    def _taken(self) -> list[FrameStream]:
        """The streams, to be put back when they are a frame further: a failure leaves none."""
        streams, self._streams = self._streams, None
        if streams is None:
            model = cast(_Streaming, self._model)
            streams = [model.stream() for _ in self._tiling.tiles()]
            for values, coding in self._recent:
                self._begin(streams, values, coding)
            for stream in streams:
                for _ in range(min(len(self._recent), self._radius) - self._waiting):
                    stream.flush()  # what has come back already
        return streams

    def _begin(self, streams: list[FrameStream], values: Tensor, coding: tuple[float, ...]) -> None:
        for stream, tile in zip(streams, self._tiling.tiles(), strict=True):
            stream.push(values[(..., *tile.window)], *coding)
