"""Measures of a frame in RGB, alone or against its original."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vqe_fast.metrics.measure import ClipFacts, Found, Samples, Shown

Compare = Callable[[Tensor, Tensor], Tensor | float]
"""A frame and its original, each RGB (1, 3, H, W) in [0, 1] → the measure."""


@dataclass(frozen=True)
class FrameMeasure:
    """Measure of a frame; that of a clip is the mean over its frames.

    Attributes:
        name: of its figure.
        compare: what measures.
        about: see :meth:`vqe_fast.metrics.measure.Measure.identity`.
        device: where it runs.
        smallest: shorter side in pixels of the smallest frame that it is defined for.
    """

    name: str
    compare: Compare
    about: Mapping[str, Any]
    device: torch.device
    smallest: int = 1

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
        is_defined = min(facts.width, facts.height) >= self.smallest
        yield _FrameMeter(self, is_defined)


class _FrameMeter:
    def __init__(self, measure: FrameMeasure, is_defined: bool) -> None:
        self._measure, self._is_defined = measure, is_defined
        self._values: list[float | None] = []

    @torch.inference_mode()
    def add(self, frame: Shown, original: Shown) -> None:
        value = None
        if self._is_defined:
            pair = (self._image(each.rgb) for each in (frame, original))
            value = float(self._measure.compare(*pair))
        self._values.append(value)

    def found(self) -> Found:
        return Found(frames={self._measure.name: self._values})

    def _image(self, rgb: Samples) -> Tensor:
        return torch.tensor(rgb, device=self._measure.device)[None].float() / 255
