"""Temporary store of restored frames on disk, until they are measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.frame import VideoFrame

from vqe_fast.data.color import rgb_of as decoded_rgb
from vqe_fast.data.color import rows_of, to_yuv420p, yuv_of
from vqe_fast.video.frames.color import ColorFacts

_PLANES = 3
_KEPT = ("yuv420p", "yuvj420p")


class FrameStore:
    """8-bit 4:2:0 frames of one size in an unnamed file, which goes with the process.

    Restoring and measuring thus take turns, and neither disturbs the timing of the other; memory
    does not depend on the length of the clip.

    Args:
        folder: where there is room for the frames, 1.5 bytes a pixel.
        size: width and height.
        color: matrix and range that RGB is converted by.
    """

    def __init__(self, folder: Path, size: tuple[int, int], color: ColorFacts) -> None:
        self._size = size
        self._color = color
        self._count = 0
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def append(self, frame: VideoFrame) -> None:
        """Adds a frame; what is not 8-bit 4:2:0 is converted.

        Raises:
            ValueError: it has another size.
        """
        if (frame.width, frame.height) != self._size:
            raise ValueError(
                f"it gave frames of {frame.width}x{frame.height} for "
                f"{self._size[0]}x{self._size[1]}: the size must stay as it is"
            )
        if frame.format.is_rgb:
            frame = yuv_of(decoded_rgb(frame, self._color), self._color)
        elif frame.format.name not in _KEPT:
            frame = to_yuv420p(frame)
        for plane in frame.planes:
            self._file.write(np.ascontiguousarray(rows_of(plane)).data)
        self._count += 1

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames, yuv420p, in the order in which they came."""
        self._file.seek(0)
        for _ in range(self._count):
            frame = av.VideoFrame(*self._size, "yuv420p")
            for plane in frame.planes[:_PLANES]:
                rows = np.frombuffer(self._file.read(plane.width * plane.height), np.uint8)
                rows_of(plane)[:] = rows.reshape(plane.height, plane.width)
            yield frame
