"""Planes of frames as NumPy arrays, without copies: decoder, model and encoder share the memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType, VideoFrame


def take_over(frame: VideoFrame) -> None:
    """Makes a decoded frame writable and forgets its picture type, so that it can be encoded.

    Its memory is copied if the decoder still refers to it. The picture type is forgotten: an
    encoder would take it as an order, and repeat the source's structure of I, P and B frames.
    """
    frame.make_writable()
    frame.pict_type = PictureType.NONE


def depth_of(frame: VideoFrame) -> int:
    """Bit depth of luma."""
    return frame.format.components[0].bits


def plane_view(frame: VideoFrame, index: int) -> npt.NDArray[Any]:
    """A plane of ``frame``, (H, W), without the padding of its rows; not a copy.

    uint8 for 8 bits, uint16 for more. It is writable after :func:`take_over`, and only views taken
    after that call stay valid.
    """
    plane = frame.planes[index]
    dtype = np.dtype(np.uint8 if depth_of(frame) == 8 else np.uint16)
    rows = np.frombuffer(memoryview(plane), dtype)
    return rows.reshape(plane.height, abs(plane.line_size) // dtype.itemsize)[:, : plane.width]


def luma_view(frame: VideoFrame) -> npt.NDArray[Any]:
    """The luma of ``frame``: its first :func:`plane_view`."""
    return plane_view(frame, 0)
