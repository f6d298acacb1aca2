"""Pixel formats in which frames are compared: 8-bit 4:2:0, or RGB where the originals are RGB.

Models and files take Y'CbCr. RGB goes to them, and comes back, as 4:4:4 of 10 bits in full range,
which gives every value of 8 bits back as it was.
"""

from __future__ import annotations

from typing import Literal

import av
import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from vqe_fast.data.color import Samples, rgb_frame, rgb_of, to_yuv420p, yuv_of
from vqe_fast.video.frames.color import BT709, ColorFacts
from vqe_fast.video.frames.pixel_formats import implies_full_range, is_video, without_implied_range
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.frames.reformat import Converter

PixelFormat = Literal["yuv420p", "gbrp"]

YUV: PixelFormat = "yuv420p"
RGB: PixelFormat = "gbrp"

_CARRIER, _DEPTH = "yuv444p10le", 10
_CARRIED = ColorFacts(BT709, full_range=True)


def is_colour(frame: VideoFrame) -> bool:
    """Whether samples are RGB or indices of a palette, rather than Y'CbCr or gray."""
    return not is_video(frame.format.name)


def comparable(frame: VideoFrame, pixel_format: PixelFormat, color: ColorFacts) -> VideoFrame:
    """A frame in the pixel format in which it is compared.

    Args:
        frame: any.
        pixel_format: :data:`YUV` or :data:`RGB`.
        color: matrix and range by which RGB becomes Y'CbCr.

    Returns:
        4:2:0, its samples untouched where they are that already; or RGB, of Y'CbCr by the frame's
        own matrix and range.
    """
    if pixel_format == RGB:
        return rgb_frame(_pixels(frame))
    if is_colour(frame):
        return yuv_of(_pixels(frame), color)
    return frame if frame.format.name == YUV else to_yuv420p(frame)


def for_files(frame: VideoFrame) -> VideoFrame:
    """A frame as lossless files and models take it, with all of its values."""
    if is_colour(frame):
        return _carried(_pixels(frame))
    name = frame.format.name
    if not implies_full_range(name):
        return frame
    plain, matrix = Converter(without_implied_range(name))(frame), frame.colorspace
    plain.colorspace, plain.color_range = matrix, ColorRange.JPEG
    return plain


def _pixels(frame: VideoFrame) -> Samples:
    """Red, green and blue, (3, H, W), 8 bits."""
    if frame.format.name == _CARRIER and ColorFacts.of(frame) == _CARRIED:
        return _released(frame)
    if is_colour(frame) and not frame.format.is_rgb:  # a palette
        frame = frame.reformat(format="rgba")
    return rgb_of(frame, ColorFacts.of(frame))


def _carried(pixels: Samples) -> VideoFrame:
    matrix, offset = _CARRIED.to_rgb(_DEPTH)
    values = torch.from_numpy(pixels).double().flatten(1) / 255 - offset[:, None]
    samples = (matrix.inverse() @ values).round().clamp(0, 2**_DEPTH - 1)
    planes = samples.reshape(pixels.shape).numpy().astype("<u2")
    frame = av.VideoFrame(pixels.shape[2], pixels.shape[1], _CARRIER)
    for plane, of_plane in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(plane), "<u2").reshape(plane.height, -1)
        rows[:, : plane.width] = of_plane
    frame.colorspace, frame.color_range = _CARRIED.matrix, ColorRange.JPEG
    return frame


def _released(frame: VideoFrame) -> Samples:
    matrix, offset = _CARRIED.to_rgb(_DEPTH)
    planes = np.stack([plane_view(frame, index) for index in range(3)]).astype(np.float64)
    values = matrix @ torch.from_numpy(planes).flatten(1) + offset[:, None]
    pixels: Samples = (values * 255).round().clamp(0, 255).byte().reshape(planes.shape).numpy()
    return pixels
