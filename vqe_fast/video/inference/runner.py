"""The runner interface: how a model of any kind is given the frames of a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from vqe_fast.video.frames.model_input import View
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.strength import WHOLE, Strength


@dataclass
class InputFrame:
    """A runner's input: planes of a frame on the device, with coding parameters and scene cut.

    Attributes:
        planes: its samples, each (1, 1, h, w) on the model's device. On a CPU they are the
            frame's own memory, and may change once the frame has been given back.
        view: what the model sees of them.
        coding: what the model is told; None if it is told nothing.
        begins_scene: whether earlier frames are of another scene.
    """

    planes: list[Tensor]
    view: View
    coding: FrameCoding | None = None
    begins_scene: bool = False
    _seen: Tensor | None = field(default=None, init=False, repr=False)

    @property
    def strength(self) -> Strength:
        """The share of the model's correction to apply."""
        return WHOLE if self.coding is None else self.coding.strength

    def values(self) -> Tensor:
        """The model's input, (B, C, H, W) float32 in [0, 1]; B is 2 for fields, else 1."""
        if self._seen is not None:
            return self._seen
        values = self.view.values(self.planes)
        if self.strength != WHOLE:  # they are needed again
            self._seen = values
        return values

    def with_strength(self, enhanced: Tensor) -> Tensor:
        """The model's output, (B, C, H, W), blended with its input by the strength."""
        if self.strength == WHOLE:
            return enhanced
        return self.strength.of_correction(self.values(), enhanced)


class Runner(Protocol):
    """Interface: enhances frames in order; each comes back once, maybe some frames later."""

    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes the next frame.

        Yields:
            Enhanced frames, (B, C, H, W), as far as they are known now.

        Raises:
            VideoError: the smallest tiles do not fit into memory.
        """
        ...

    def flush(self) -> Iterator[Tensor]:
        """Ends the scene: yields all frames that are left."""
        ...

    @property
    def seconds(self) -> float:
        """Seconds during which frames were under way in threads of its own; 0 without such."""
        return 0.0

    def close(self) -> None:
        """Shuts down threads of its own, if there are any; results left are dropped."""
        return
