"""Recurrent models: inference on overlapping clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.video.errors import VideoError
from vqe_fast.video.inference.frame_coding import of_window
from vqe_fast.video.inference.memory import run_if_memory_allows
from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.tiling import Tiling

OVERLAP = 6
"""Frames that a clip has in common with each of its neighbours, to be looked at only.

BasicVSR trained to remove compression differs from one pass by at most 0.35 steps of 8 bits with
3 frames, 0.12 with 4 and 0.04 with 6; with PyTorch's first values, and ASTF with them, by less.
"""

SHORTEST = 2 * OVERLAP + 1
"""Frames that a clip must have."""


class RecurrentRunner(Runner):
    """Runner of overlapping clips of a scene, so that the seams do not show.

    After memory has run out clips are halved, and when they are the shortest, frames are cut.

    Args:
        model: ready to run.
        tiling: how frames are cut.
        clip_frames: frames that the model sees together, at least :data:`SHORTEST`.

    Attributes:
        clip_frames: the same, or fewer after memory has run out.

    Raises:
        VideoError: ``clip_frames`` is too small.
    """

    def __init__(self, model: nn.Module, tiling: Tiling, clip_frames: int) -> None:
        refuse_short_clips(clip_frames)
        self.clip_frames = clip_frames
        self._model = model
        self._spec = spec_of(model)
        self._tiling = tiling
        self._frames: list[InputFrame] = []
        self._done = 0

    @torch.inference_mode()
    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes a frame; gives those of a clip once it is complete."""
        if frame.begins_scene:
            yield from self.flush()
        planes = [plane.clone() for plane in frame.planes] if _on_cpu(frame) else frame.planes
        self._frames.append(replace(frame, planes=planes))
        while len(self._frames) > self.clip_frames:
            yield from self._next(self.clip_frames)

    @torch.inference_mode()
    def flush(self) -> Iterator[Tensor]:
        """Gives all frames that are left."""
        while self._done < len(self._frames):
            yield from self._next(min(self.clip_frames, len(self._frames)))
        self._frames, self._done = [], 0

    def _next(self, length: int) -> Iterator[Tensor]:
        """Enhances the first frames that there are, and gives those that are far from a seam."""
        enhanced = self._enhance(self._frames[:length])
        if enhanced is None:
            return
        is_last = length == len(self._frames)
        end = length if is_last else length - OVERLAP
        yield from enhanced[:, self._done : end].unbind(1)
        seen = end if is_last else end - OVERLAP
        del self._frames[:seen]
        self._done = end - seen

    def _enhance(self, frames: list[InputFrame]) -> Tensor | None:
        """None if it must be tried again with a shorter clip."""
        device = frames[0].planes[0].device

        def run() -> Tensor:
            clip = torch.stack([frame.values() for frame in frames], dim=1)
            told = of_window([frame.coding for frame in frames], self._spec, len(clip))
            return self._tiling.run(clip, lambda _, part: self._model(part, *told))

        if self.clip_frames == SHORTEST:
            return self._tiling.attempt(run, device)
        result = run_if_memory_allows(run, device)
        if result is not None:
            return result[0]
        self.clip_frames = max(min(self.clip_frames, len(frames)) // 2, SHORTEST)
        return None


def refuse_short_clips(clip_frames: int) -> None:
    """Refuses clips with nothing between their seams.

    Raises:
        VideoError: there are fewer than :data:`SHORTEST`.
    """
    if clip_frames < SHORTEST:
        raise VideoError(
            f"clips must have at least {SHORTEST} frames, {OVERLAP} of them beside each seam; "
            f"got {clip_frames}"
        )


def _on_cpu(frame: InputFrame) -> bool:
    return frame.planes[0].device.type == "cpu"
