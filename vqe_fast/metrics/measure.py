"""Measures of an evaluation: what all of them are told, and what they tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8]


class Shown(NamedTuple):
    """A frame as measures take it.

    Attributes:
        planes: Y (H, W), and Cb and Cr of half the size, rounded up.
        rgb: the same in RGB, (3, H, W).
    """

    planes: Sequence[Samples]
    rgb: Samples


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip before its frames.

    Attributes:
        width: in pixels.
        height: in pixels.
        rate: frames per second.
        folder: where there is room for temporary files.
    """

    width: int
    height: int
    rate: Fraction
    folder: Path


@dataclass(frozen=True)
class Found:
    """Figures of a clip.

    Attributes:
        frames: name → value of each frame, None where it is not defined.
        clip: name → figure of the whole clip, where that is not the mean of its frames.
    """

    frames: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    clip: Mapping[str, float | None] = field(default_factory=dict)


class Meter(Protocol):
    """Measurement of one clip, which is told its frames in order."""

    def add(self, frame: Shown, original: Shown) -> None:
        """Takes the next frame, and what it ought to be.

        Raises:
            ValueError: it cannot be measured.
        """

    def found(self) -> Found:
        """The figures, after the last frame.

        Raises:
            ValueError: the clip cannot be measured.
        """


class Measure(Protocol):
    """Measure of clips, or a few that are measured together."""

    @property
    def names(self) -> Sequence[str]:
        """Those of its figures."""

    def identity(self) -> Mapping[str, Any]:
        """Name → all that decides about the figure beside the frames, as JSON has it."""

    def of_clip(self, facts: ClipFacts) -> AbstractContextManager[Meter]:
        """A measurement; what it holds is let go at the end of the context."""
