"""Conversion of frames to the RGB that metrics compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import av
import numpy as np
from av.video.frame import VideoFrame

from vqe_fast.data.color import Samples, rgb_of, rows_of
from vqe_fast.video.frames.color import ColorFacts
from vqe_fast.video.frames.planes import luma_view, plane_view

Chroma = Literal["decoded", "original"]
"""Whose chroma is shown with the luma of a restored frame."""

Conversion = Literal["stream", "pequenet"]
"""By the matrix and range of the stream, or as PeQuENet's release does it."""

ToRGB = Callable[[VideoFrame, VideoFrame], Samples]
"""A restored frame and the original → RGB of the former, (3, H, W)."""


def to_rgb(chroma: Chroma, conversion: Conversion, color: ColorFacts) -> ToRGB:
    """The conversion of frames to RGB, by the protocol; RGB stays as it is.

    Args:
        chroma: whose.
        conversion: which.
        color: matrix and range of the stream.
    """

    def shown(frame: VideoFrame, original: VideoFrame) -> Samples:
        if frame.format.is_rgb:
            return rgb_of(frame, color)
        if chroma == "original":
            frame = _with_chroma_of(frame, original)
        return rgb_of(frame, color) if conversion == "stream" else pequenet_rgb(frame)

    return shown


def pequenet_rgb(frame: VideoFrame) -> Samples:
    """RGB as the MATLAB script of PeQuENet's release makes it, (3, H, W).

    Samples count as if they had full range, chroma is repeated rather than interpolated, and in
    G = Y + 0.395·(U − 128) − 0.581·(V − 128) the sign of the second term is that of the release;
    BT.601 has −0.395.

    Args:
        frame: 8-bit 4:2:0.
    """
    y, u, v = (plane_view(frame, index).astype(np.float64) for index in range(3))
    u, v = (
        (plane - 128).repeat(2, 0).repeat(2, 1)[: frame.height, : frame.width] for plane in (u, v)
    )
    rgb = np.stack([y + 1.140 * v, y + 0.395 * u - 0.581 * v, y + 2.032 * u])
    # Half is rounded up, as MATLAB does.
    pixels: Samples = np.floor(rgb.clip(0, 255) + 0.5).astype(np.uint8)
    return pixels


def _with_chroma_of(frame: VideoFrame, original: VideoFrame) -> VideoFrame:
    mixed = av.VideoFrame(frame.width, frame.height, "yuv420p")
    rows_of(mixed.planes[0])[:] = luma_view(frame)
    for index in (1, 2):
        rows_of(mixed.planes[index])[:] = plane_view(original, index)
    return mixed
