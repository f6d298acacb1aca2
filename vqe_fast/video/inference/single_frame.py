"""Single-frame models: inference frame by frame, or in batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.video.inference.frame_coding import CodingArguments
from vqe_fast.video.inference.memory import run_if_memory_allows
from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.tiling import Tiling


class SingleRunner(Runner):
    """Runner of single frames, or of batches of them.

    Args:
        model: ready to run.
        tiling: how frames are cut.
        batch: frames of one call; fewer after memory has run out.
    """

    def __init__(self, model: nn.Module, tiling: Tiling, batch: int = 1) -> None:
        self._model = model
        self._tiling = tiling
        self._batch = batch
        self._spec = spec_of(model)
        self._frames: list[InputFrame] = []

    @torch.inference_mode()
    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes a frame; gives those that are enhanced now."""
        self._frames.append(frame)
        if len(self._frames) >= self._batch:
            yield from self.flush()

    @torch.inference_mode()
    def flush(self) -> Iterator[Tensor]:
        """Gives all frames that are left."""
        while self._frames:
            frames = self._frames[: self._batch]
            enhanced = self._enhance(frames)
            if enhanced is not None:
                del self._frames[: len(frames)]
                yield from enhanced.chunk(len(frames))

    def _enhance(self, frames: list[InputFrame]) -> Tensor | None:
        """None if it must be tried again with fewer frames."""
        values = torch.cat([frame.values() for frame in frames])
        arguments = CodingArguments(
            [frame.coding for frame in frames],
            self._spec,
            values.device,
            len(values) // len(frames),
        )

        def run() -> Tensor:
            return self._tiling.run(
                values, lambda tile, window: self._model(window, *arguments.of(tile.window))
            )

        if len(frames) == 1:
            return self._tiling.attempt(run, values.device)
        result = run_if_memory_allows(run, values.device)
        if result is not None:
            return result[0]
        self._batch = len(frames) // 2
        return None
