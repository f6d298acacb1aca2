"""Frames as PNG files, for metrics that read folders of them."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from vqe_fast.metrics.measure import Samples


class Pictures:
    """Context manager of two temporary folders with a PNG for each frame.

    Args:
        folder: where there is room.

    Attributes:
        restored: one of them.
        originals: the other.
    """

    def __init__(self, folder: Path) -> None:
        self._count = 0
        self._folder = tempfile.TemporaryDirectory(dir=folder, prefix="frames-")
        place = Path(self._folder.name)
        self.restored, self.originals = place / "restored", place / "originals"
        self.restored.mkdir()
        self.originals.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def add(self, restored: Samples, original: Samples) -> None:
        """Writes a frame and its original, each RGB, (3, H, W)."""
        for folder, pixels in ((self.restored, restored), (self.originals, original)):
            (folder / f"{self._count:05}.png").write_bytes(png_of(pixels))
        self._count += 1


def png_of(pixels: Samples) -> bytes:
    """Encodes RGB, (3, H, W), as a PNG file."""
    picture = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    context = av.CodecContext.create("png", "w")
    assert isinstance(context, VideoCodecContext)
    context.height, context.width = picture.shape[:2]
    context.pix_fmt, context.time_base = "rgb24", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
