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

from vqe_fast.data.color import rows_of
from vqe_fast.evaluation.comparable import YUV, PixelFormat, comparable
from vqe_fast.video.frames.color import ColorFacts

_PLANES = 3


class FrameStore:
    """8-bit frames of one size in an unnamed file, which goes with the process.

    Restoring and measuring thus take turns, and neither disturbs the timing of the other; memory
    does not depend on the length of the clip.

    Args:
        folder: where there is room for the frames, 1.5 bytes a pixel, 3 of RGB.
        size: width and height.
        color: matrix and range that RGB is converted by.
        pixel_format: in which frames are compared.
    """

    def __init__(
        self,
        folder: Path,
        size: tuple[int, int],
        color: ColorFacts,
        pixel_format: PixelFormat = YUV,
    ) -> None:
        self._size = size
        self._color = color
        self._format = pixel_format
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
        """Adds a frame; what is not in the pixel format is converted.

        Raises:
            ValueError: it has another size.
        """
        if (frame.width, frame.height) != self._size:
            raise ValueError(
                f"it gave frames of {frame.width}x{frame.height} for "
                f"{self._size[0]}x{self._size[1]}: the size must stay as it is"
            )
        for plane in comparable(frame, self._format, self._color).planes:
            self._file.write(np.ascontiguousarray(rows_of(plane)).data)
        self._count += 1

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames, in the order in which they came."""
        self._file.seek(0)
        for _ in range(self._count):
            frame = av.VideoFrame(*self._size, self._format)
            for plane in frame.planes[:_PLANES]:
                rows = np.frombuffer(self._file.read(plane.width * plane.height), np.uint8)
                rows_of(plane)[:] = rows.reshape(plane.height, plane.width)
            yield frame
