"""Samples of frames as arrays: stored luma, Y'CbCr, and RGB by the stream's matrix and range."""

from __future__ import annotations

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from vqe_fast.models.registry import Planes
from vqe_fast.video.frames.color import BT709, ColorFacts
from vqe_fast.video.frames.pixel_formats import has_luma_plane, without_implied_range
from vqe_fast.video.frames.planes import depth_of, luma_view
from vqe_fast.video.frames.reformat import Converter

Samples = NDArray[np.uint8]
Luma = Samples
"""Luma of a clip: (T, H, W), 8 bits."""

_ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)


def samples_of(frame: av.VideoFrame, planes: Planes, color: ColorFacts) -> Samples:
    """A copy of the samples of ``frame``, uint8: (H, W) for ``"y"``, (3, H, W) for ``"rgb"``.

    For ``"yuv"`` it is 4:2:0 as one plane after the other, (3HW/2). An odd last column or row is
    cut off.
    """
    if planes == "yuv":
        if frame.format.name not in ("yuv420p", "yuvj420p"):
            frame = to_yuv420p(frame)
        return np.concatenate([rows_of(plane).ravel() for plane in _even(frame).planes])
    samples = luma_of(frame) if planes == "y" else rgb_of(frame, color)
    return samples[..., : frame.height // 2 * 2, : frame.width // 2 * 2]


def split_planes(samples: Samples, height: int, width: int) -> tuple[Samples, Samples, Samples]:
    """Planes of luma and chroma from :func:`samples_of` for ``"yuv"``, (…, 3HW/2); no copies.

    Returns:
        (…, H, W), and (…, H/2, W/2) twice.
    """
    ends = np.cumsum([height * width, height * width // 4])
    luma, blue, red = np.split(samples, ends, axis=-1)
    chroma = (*samples.shape[:-1], height // 2, width // 2)
    return (
        luma.reshape(*samples.shape[:-1], height, width),
        blue.reshape(chroma),
        red.reshape(chroma),
    )


def luma_of(frame: av.VideoFrame) -> Samples:
    """A copy of the luma of ``frame``, (H, W), 8 bits; of RGB by BT.709, limited."""
    if not has_luma_plane(frame.format.name) or depth_of(frame) != 8:
        frame = to_yuv420p(frame)
    return luma_view(frame).copy()


def rgb_of(frame: av.VideoFrame, color: ColorFacts) -> Samples:
    """Red, green and blue of ``frame``, (3, H, W), 8 bits."""
    if frame.format.is_rgb:
        planar = frame.reformat(format="gbrp")
    else:
        planar = _without_claim(frame).reformat(
            format="gbrp",
            src_colorspace=color.matrix,
            src_color_range=_range(color),
            dst_color_range=ColorRange.JPEG,
            interpolation=_ACCURATE,
        )
    green, blue, red = (rows_of(plane) for plane in planar.planes)
    return np.stack([red, green, blue])


def yuv_of(pixels: Samples, color: ColorFacts) -> av.VideoFrame:
    """The yuv420p frame, tagged, of RGB ``pixels``, (3, H, W)."""
    return _from_rgb(rgb_frame(pixels), color)


def rgb_frame(pixels: Samples) -> av.VideoFrame:
    """The gbrp frame of RGB ``pixels``, (3, H, W)."""
    frame = av.VideoFrame(pixels.shape[2], pixels.shape[1], "gbrp")
    for plane, values in zip(frame.planes, pixels[[1, 2, 0]], strict=True):
        rows_of(plane)[:] = values
    return frame


def to_yuv420p(frame: av.VideoFrame) -> av.VideoFrame:
    """``frame`` as 8-bit yuv420p of even size, its samples untouched where they can be.

    RGB becomes BT.709 in limited range, tagged so; Y'CbCr keeps its matrix and range. An odd last
    column or row is cut off.
    """
    if frame.format.is_rgb:
        converted = _from_rgb(frame, ColorFacts(BT709, full_range=False))
    else:
        tags = frame.colorspace, _range(ColorFacts.of(frame))
        converted = frame.reformat(
            format="yuv420p", src_color_range=tags[1], dst_color_range=tags[1]
        )
        converted.colorspace, converted.color_range = tags
    return _even(converted)


def resized(frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """``frame``, yuv420p, bicubically scaled to the width and height ``size``."""
    tags = frame.colorspace, frame.color_range
    scaled = frame.reformat(width=size[0], height=size[1], interpolation=_ACCURATE)
    scaled.colorspace, scaled.color_range = tags
    return scaled


def _from_rgb(frame: av.VideoFrame, color: ColorFacts) -> av.VideoFrame:
    converted = frame.reformat(
        format="yuv420p",
        dst_colorspace=color.matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=_range(color),
        interpolation=_ACCURATE,
    )
    converted.colorspace, converted.color_range = color.matrix, _range(color)
    return converted


def _without_claim(frame: av.VideoFrame) -> av.VideoFrame:
    """The same samples in a format that does not say itself that they have full range."""
    return Converter(without_implied_range(frame.format.name))(frame)


def _range(color: ColorFacts) -> ColorRange:
    return ColorRange.JPEG if color.full_range else ColorRange.MPEG


def _even(frame: av.VideoFrame) -> av.VideoFrame:
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    if (width, height) == (frame.width, frame.height):
        return frame
    cut = av.VideoFrame(width, height, "yuv420p")
    for target, source in zip(cut.planes, frame.planes, strict=True):
        rows_of(target)[:] = rows_of(source)[: target.height, : target.width]
    cut.colorspace, cut.color_range = frame.colorspace, frame.color_range
    return cut


def rows_of(plane: VideoPlane) -> Samples:
    """An 8-bit plane as an array, (H, W), writable, without the padding of its rows."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    return rows[:, : plane.width]
