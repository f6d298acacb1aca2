"""Compression by the real encoders, in memory: what the models learn to undo."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
"""Luma of a clip: (T, H, W), 8 bits."""


@dataclass(frozen=True)
class Degradation:
    """One encoder setting.

    Attributes:
        codec: the FFmpeg encoder.
        mode: ``"qp"`` for a constant quantisation parameter, ``"crf"`` for constant quality.
        value: the QP or CRF, 0 to 51.
        preset: the encoder's speed preset.
    """

    codec: Literal["libx264", "libx265"]
    mode: Literal["qp", "crf"]
    value: int
    preset: str = "medium"

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 51:
            raise ValueError(f"{self.mode} must lie in 0..51, got {self.value}")

    @property
    def name(self) -> str:
        """A short name for tables and files, such as ``x265 QP 37``."""
        return f"{self.codec.removeprefix('lib')} {self.mode.upper()} {self.value}"

    def encoder_options(self) -> dict[str, str]:
        """The options as FFmpeg's encoder takes them."""
        options = {"preset": self.preset}
        if self.codec == "libx265":
            options["x265-params"] = f"{self.mode}={self.value}:log-level=none:pools=2"
        else:
            options[self.mode] = str(self.value)
        return options


def encode(frames: Iterable[av.VideoFrame], degradation: Degradation, rate: Fraction) -> bytes:
    """Encodes frames into a Matroska file in memory.

    Args:
        frames: yuv420p frames of one size, in display order.
        degradation: the encoder and its setting.
        rate: frames per second.

    Returns:
        The file's bytes.

    Raises:
        ValueError: there is no frame.
    """
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        stream = None
        for index, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream(
                    degradation.codec, rate=rate, options=degradation.encoder_options()
                )
                stream.width, stream.height = frame.width, frame.height
                stream.pix_fmt = "yuv420p"
            frame.pts = index
            frame.time_base = 1 / rate
            frame.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
        if stream is None:
            raise ValueError("there is no frame to encode")
        container.mux(stream.encode(None))
    return target.getvalue()


def decode_luma(file: bytes | str) -> Luma:
    """Decodes the luma of every frame of a file, or of a file's bytes, in display order."""
    source = io.BytesIO(file) if isinstance(file, bytes) else file
    with av.open(source, "r") as container:
        return np.stack([luma_of(frame) for frame in container.decode(video=0)])


def luma_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """A copy of the luma plane of an 8-bit planar frame: (H, W)."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width].copy()
