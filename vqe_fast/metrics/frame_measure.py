"""Measures of a frame in RGB, alone or against its original."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vqe_fast.metrics.measure import ClipFacts, Found, Samples, Shown

Compare = Callable[[Samples, Samples], float | None]
"""A frame and its original, each RGB (3, H, W), 0 to 255 → the measure, None without one."""


@dataclass(frozen=True)
class FrameMeasure:
    """Measure of a frame; that of a clip is the mean over its frames.

    Attributes:
        name: of its figure.
        compare: what measures.
        about: see :meth:`vqe_fast.metrics.measure.Measure.identity`.
        smallest: shorter and longer side in pixels of the smallest frame that it is defined for.
    """

    name: str
    compare: Compare
    about: Mapping[str, Any]
    smallest: tuple[int, int] = (1, 1)

    @property
    def names(self) -> tuple[str]:
        """Its name."""
        return (self.name,)

    def identity(self) -> Mapping[str, Any]:
        """Its name → ``about``."""
        return {self.name: dict(self.about)}

    @contextmanager
    def of_clip(self, facts: ClipFacts) -> Iterator[_FrameMeter]:
        """A measurement; frames smaller than ``smallest`` have no figure."""
        sides = sorted((facts.width, facts.height))
        is_defined = all(map(int.__ge__, sides, self.smallest))
        yield _FrameMeter(self, is_defined)


class _FrameMeter:
    def __init__(self, measure: FrameMeasure, is_defined: bool) -> None:
        self._measure, self._is_defined = measure, is_defined
        self._values: list[float | None] = []

    def add(self, frame: Shown, original: Shown) -> None:
        value = self._measure.compare(frame.rgb, original.rgb) if self._is_defined else None
        self._values.append(value)

    def found(self) -> Found:
        return Found(frames={self._measure.name: self._values})


def of_images(compare: Callable[[Tensor, Tensor], Tensor], device: torch.device) -> Compare:
    """A measure of images (1, 3, H, W) in [0, 1] on a device, as one of frames."""

    @torch.inference_mode()
    def of_frames(frame: Samples, original: Samples) -> float:
        images = (torch.tensor(rgb, device=device)[None].float() / 255 for rgb in (frame, original))
        return float(compare(*images))

    return of_frames
