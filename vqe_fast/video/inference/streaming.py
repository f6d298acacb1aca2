"""Streaming inference: sliding windows that compute what belongs to a frame once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.video.inference.frame_coding import of_frame
from vqe_fast.video.inference.recurrent import OVERLAP, refuse_short_clips
from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.tiling import Tiling


class FrameStream(Protocol):
    """Interface of ``model.stream()``; see :class:`vqe_fast.models.pequenet.PeQuENetStream`."""

    def push(self, frames: Tensor, *coding: float) -> Tensor | None:
        """Takes the next frame, gives the enhanced one so many before it as the delay is.

        Args:
            frames: (B, C, H, W).
            *coding: QP of the frame, codec and type, as far as the model takes them.
        """
        ...

    def flush(self) -> Tensor | None:
        """The next enhanced frame of those that are left, or None."""
        ...


class _Streaming(Protocol):
    def stream(self, *frames: int) -> FrameStream: ...


def has_stream(model: nn.Module) -> bool:
    """Whether :class:`StreamedRunner` can run ``model``."""
    spec = spec_of(model)
    return (spec.recurrent or spec.temporal_radius > 0) and callable(getattr(model, "stream", None))


class StreamedRunner(Runner):
    """Runner of a model's streams, one for each tile, for the result of a sliding window.

    Each tile has a stream of its own. After memory has run out they begin anew, in smaller tiles,
    with as many of the last frames as the next result depends on; of a recurrent model with the
    last six before it.

    Args:
        model: ready to run, with a method ``stream()`` that returns a :class:`FrameStream`; that of
            a recurrent model takes the number of frames that it may see from a frame on.
        tiling: how frames are cut.
        clip_frames: that number, for a recurrent model.

    Attributes:
        clip_frames: the same; None for a model that is not recurrent.

    Raises:
        VideoError: ``clip_frames`` is too small.
    """

    def __init__(self, model: nn.Module, tiling: Tiling, clip_frames: int | None = None) -> None:
        self._model = model
        self._tiling = tiling
        self._spec = spec_of(model)
        radius = self._spec.temporal_radius
        self.clip_frames = clip_frames if self._spec.recurrent else None
        self._delay = radius
        if self.clip_frames is not None:
            refuse_short_clips(self.clip_frames)
            self._delay = self.clip_frames - 1
        self._context = OVERLAP if self._spec.recurrent else radius  # frames before a result
        self._recent: list[tuple[Tensor, tuple[float, ...]]] = []
        self._waiting = 0  # frames of the scene that have not come back
        self._streams: list[FrameStream] | None = None

    @torch.inference_mode()
    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes a frame; gives the one so many before it as the delay is, if it is of its scene."""
        if frame.begins_scene:
            yield from self.flush()
        values, coding = frame.values(), of_frame(frame.coding, self._spec)
        enhanced = self._tiling.attempt(lambda: self._advance(values, coding), values.device)
        self._recent = [*self._recent, (values, coding)][-self._context - self._delay :]
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
        if self._waiting == self._delay:
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
            limit = () if self.clip_frames is None else (self.clip_frames,)
            streams = [model.stream(*limit) for _ in self._tiling.tiles()]
            for values, coding in self._recent:
                self._begin(streams, values, coding)
            for stream in streams:
                for _ in range(min(len(self._recent), self._delay) - self._waiting):
                    stream.flush()  # what has come back already
        return streams

    def _begin(self, streams: list[FrameStream], values: Tensor, coding: tuple[float, ...]) -> None:
        for stream, tile in zip(streams, self._tiling.tiles(), strict=True):
            stream.push(values[(..., *tile.window)], *coding)
