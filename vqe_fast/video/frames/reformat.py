"""Pixel format conversion: samples laid out anew where they fit, else swscale."""

from __future__ import annotations

from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    Interpolation,
    VideoReformatter,
)

from vqe_fast.video.frames.pixel_formats import implies_full_range

_ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


class Converter:
    """Converts frames to a pixel format.

    Y'CbCr keeps its matrix and its range; RGB becomes BT.709 in limited range, and is tagged so.
    """

    def __init__(self, pixel_format: str) -> None:
        """Prepares for ``pixel_format``, one that implies no range."""
        self._format = pixel_format
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """``frame``, or a new one with its timestamps, tags and side data."""
        if frame.format.name == self._format:
            return frame
        if frame.format.is_rgb:
            converted = self._reformatter.reformat(
                frame,
                format=self._format,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                interpolation=_ACCURATE,
            )
            if frame.color_primaries == ColorPrimaries.UNSPECIFIED:
                converted.color_primaries = ColorPrimaries.BT709
            return converted
        full = implies_full_range(frame.format.name)
        color_range = ColorRange.JPEG if full else frame.color_range
        return self._reformatter.reformat(
            frame,
            format=self._format,
            dst_color_range=color_range,
            interpolation=_ACCURATE,
        )
