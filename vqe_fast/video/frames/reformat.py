"""Conversion of pixel format and size: samples laid out anew where they fit, else swscale."""

from __future__ import annotations

import av
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    Interpolation,
    VideoReformatter,
)

from vqe_fast.video.errors import SourceError
from vqe_fast.video.frames.pixel_formats import (
    has_alpha,
    implies_full_range,
    is_gray,
    is_video,
)

_ENDS_THE_PROCESS = {"yaf32be", "yaf32le"}
"""What swscale aborts at, instead of refusing it."""

_FEWEST_BITS = 5
"""Of a channel of RGB: white of fewer would become grey, or another colour."""

_BYTE = 8
_PLANAR = {8: "gbrap", 16: "gbrap16le"}
"""Bits → the pixel format with as many and transparency in a plane of its own."""

_COLORS_OF_ALL = "yuv444p16le"
_UNSPECIFIED = 2  # matrix or transfer curve
_SWS_601 = {6: 5}  # swscale has one number for the two of the same matrix

_ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


class Converter:
    """Converts frames to a pixel format.

    Y'CbCr keeps its matrix and its range, and grey its samples: they become luma, and luma becomes
    grey. RGB, palettes and what else is no video becomes BT.709 in limited range, and is tagged so.
    """

    def __init__(self, pixel_format: str) -> None:
        """Prepares for ``pixel_format``, one with a plane of luma that implies no range."""
        self._format = pixel_format
        self._is_gray = is_gray(pixel_format)
        self._reformatter = VideoReformatter()
        self._by_way_of = Converter(_COLORS_OF_ALL) if self._is_gray else None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """``frame``, or a new one with its timestamps, tags and side data.

        Raises:
            SourceError: FFmpeg cannot convert such frames.
        """
        if frame.format.name == self._format:
            return frame
        if frame.format.name in _ENDS_THE_PROCESS or _bits_of_rgb(frame) < _FEWEST_BITS:
            raise self._refusal(frame)
        try:
            return self._converted(frame)
        except av.error.FFmpegError as error:
            raise self._refusal(frame) from error

    def _refusal(self, frame: VideoFrame) -> SourceError:
        return SourceError(
            f"FFmpeg does not convert {frame.format.name} to {self._format}; convert the source to "
            "a usual pixel format first"
        )

    def _converted(self, frame: VideoFrame) -> VideoFrame:
        name = frame.format.name
        if not is_video(name):
            return (
                self._from_rgb(frame) if self._by_way_of is None else self(self._by_way_of(frame))
            )
        color_range = ColorRange.JPEG if implies_full_range(name) else frame.color_range
        if self._is_gray or is_gray(name):
            # FFmpeg takes all grey for full range: what else has full range for it is not scaled.
            converted = self._reformat(
                frame, src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.JPEG
            )
            converted.color_range = color_range
            return converted
        return self._reformat(frame, dst_color_range=color_range)

    def _from_rgb(self, frame: VideoFrame) -> VideoFrame:
        stage = _stage_before(frame)
        if stage is not None:
            frame = self._reformatter.reformat(frame, format=stage)
        converted = self._reformat(
            frame,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        converted.colorspace, converted.color_range = Colorspace.ITU709, ColorRange.MPEG
        if frame.color_primaries == ColorPrimaries.UNSPECIFIED:
            converted.color_primaries = ColorPrimaries.BT709
        return converted

    def _reformat(self, frame: VideoFrame, **colors: int) -> VideoFrame:
        return self._reformatter.reformat(
            frame, format=self._format, interpolation=_ACCURATE, **colors
        )


def _stage_before(frame: VideoFrame) -> str | None:
    """The pixel format by way of which swscale converts RGB rightly; None if it does at once.

    On the way to bytes the brightest of a few bits becomes the brightest of eight. Transparency
    that has a plane of its own stays what it is.
    """
    if _bits_of_rgb(frame) < _BYTE:
        return "rgb24"
    if has_alpha(frame.format.name) and not frame.format.is_planar:
        return _PLANAR.get(_bits_of_rgb(frame)) if frame.format.is_rgb else None
    return None


def _bits_of_rgb(frame: VideoFrame) -> int:
    """Bits of the smallest channel of RGB; eight for what is none, or a mosaic of sensors."""
    if not frame.format.is_rgb or frame.format.name.startswith("bayer"):
        return _BYTE
    return min(each.bits for each in frame.format.components)


class Scaler:
    """Scales frames to the size, pixel format, matrix and range of another.

    Args:
        like: the other frame.
    """

    def __init__(self, like: VideoFrame) -> None:
        self._size = like.width, like.height
        self._format = like.format.name
        self._matrix, self._range = _matrix_of(like), _range_of(like)
        self._transfer = like.color_trc
        self._reformatter = VideoReformatter()

    def changes_light(self, frame: VideoFrame) -> bool:
        """Whether samples of ``frame`` stand for other light: their transfer curve is another."""
        told = {self._transfer, frame.color_trc} - {_UNSPECIFIED}
        return len(told) > 1

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """A new frame with the timestamps of ``frame``."""
        matrix = _matrix_of(frame)
        is_told = _UNSPECIFIED not in (matrix, self._matrix)
        return self._reformatter.reformat(
            frame,
            width=self._size[0],
            height=self._size[1],
            format=self._format,
            src_colorspace=matrix if is_told else None,
            dst_colorspace=self._matrix if is_told else None,
            src_color_range=_range_of(frame),
            dst_color_range=self._range,
            interpolation=_ACCURATE,
        )


def _matrix_of(frame: VideoFrame) -> int:
    return _SWS_601.get(frame.colorspace, frame.colorspace)


def _range_of(frame: VideoFrame) -> ColorRange:
    """Full or limited: what says nothing is limited, but for RGB."""
    name = frame.format.name
    is_full = implies_full_range(name) or frame.format.is_rgb
    return ColorRange.JPEG if is_full or frame.color_range == ColorRange.JPEG else ColorRange.MPEG
