"""Frames that repeat the one before."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from vqe_fast.video.planes import plane_view


class Repeats:
    """Tells whether each frame of a video repeats the one before it, sample for sample.

    Args:
        planes: how many planes are looked at.
    """

    def __init__(self, planes: int) -> None:
        self._count = planes
        self._last: list[npt.NDArray[Any]] | None = None

    def __call__(self, frame: VideoFrame) -> bool:
        """Takes the next frame, and keeps a copy of its samples."""
        planes = [plane_view(frame, index) for index in range(self._count)]
        if self._last is None:
            self._last = [plane.copy() for plane in planes]
            return False
        if all(map(np.array_equal, planes, self._last)):
            return True
        for copy, plane in zip(self._last, planes, strict=True):
            np.copyto(copy, plane)
        return False
