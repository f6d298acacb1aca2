"""Duplicate frames: those that repeat the one before, sample for sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from vqe_fast.video.frames.planes import plane_view

_EVERY = 64  # rows


class Repeats:
    """Detector of duplicates: whether each frame of a video repeats the one before it.

    A frame must stay as it is until the next one has come, or :meth:`keep` is called.

    Args:
        planes: how many planes are looked at.
    """

    def __init__(self, planes: int) -> None:
        self._count = planes
        self._last: list[npt.NDArray[Any]] = []

    def __call__(self, frame: VideoFrame) -> bool:
        """Takes the next frame."""
        before = self._last
        self._last = [plane_view(frame, index) for index in range(self._count)]
        return bool(before) and all(map(_are_equal, before, self._last))

    def keep(self) -> None:
        """Copies the samples of the last frame, which may change from now on."""
        self._last = [plane.copy() for plane in self._last]


def _are_equal(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> bool:
    """A few rows tell most frames apart."""
    return np.array_equal(first[::_EVERY], second[::_EVERY]) and np.array_equal(first, second)
