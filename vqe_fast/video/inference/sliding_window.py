"""Sliding-window models: inference on a frame together with its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.video.inference.frame_coding import CodingArguments, FrameCoding, of_window
from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.tiling import Tile, Tiling


class WindowedRunner(Runner):
    """Runner of sliding windows: each frame with ``temporal_radius`` neighbours on each side.

    Beyond the ends of a scene its first or last frame stands for those that are missing: at
    radius 1 the frame itself.

    Args:
        model: ready to run.
        tiling: how frames are cut.
    """

    def __init__(self, model: nn.Module, tiling: Tiling) -> None:
        self._model = model
        self._tiling = tiling
        self._spec = spec_of(model)
        self._radius = self._spec.temporal_radius
        self._held: list[tuple[Tensor, FrameCoding | None]] = []
        self._next = 0

    @torch.inference_mode()
    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes a frame; gives the one that now has all its neighbours."""
        if frame.begins_scene:
            yield from self.flush()
        self._held.append((frame.values(), frame.coding))
        if len(self._held) > self._next + self._radius:
            yield self._enhance()
        if self._next > self._radius:
            del self._held[0]
            self._next -= 1

    @torch.inference_mode()
    def flush(self) -> Iterator[Tensor]:
        """Gives all frames that are left."""
        while self._next < len(self._held):
            yield self._enhance()
        self._held.clear()
        self._next = 0

    def _enhance(self) -> Tensor:
        middle, last = self._next, len(self._held) - 1
        places = range(middle - self._radius, middle + self._radius + 1)
        held = [self._held[min(max(place, 0), last)] for place in places]
        window = torch.stack([values for values, _ in held], dim=1)
        arguments = self._arguments([coding for _, coding in held], window)
        enhanced = self._tiling.attempt(
            lambda: self._tiling.run(
                window, lambda tile, part: self._model(part, *arguments(tile))
            ),
            window.device,
        )
        self._next += 1
        return enhanced

    def _arguments(
        self, codings: Sequence[FrameCoding | None], window: Tensor
    ) -> Callable[[Tile], tuple[float | Tensor, ...]]:
        """What the model is told beside a tile of a window."""
        if self._spec.coding_of_window:
            told = of_window(codings, self._spec, len(window))
            return lambda tile: told
        middle = [codings[self._radius]]
        arguments = CodingArguments(middle, self._spec, window.device, len(window))
        return lambda tile: arguments.of(tile.window)
