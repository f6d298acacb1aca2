"""Changes of size, pixel format or scan in the middle of a stream: refused, or scaled away."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from av.video.frame import VideoFrame

from vqe_fast.storage.location import Location
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.frames.reformat import Scaler
from vqe_fast.video.options import OnChange

_WAYS = ("refuse", "scale")
_UNSPECIFIED = 2  # primaries, transfer curve or matrix


class Changes:
    """What becomes of frames that are not like the first one of their stream.

    Attributes:
        lost: what has changed so far and the output has as in the first frame, in words.

    Args:
        path: of the file, in messages.
        on_change: ``"refuse"``, or ``"scale"`` for frames of another size or pixel format.

    Raises:
        VideoError: another ``on_change``.
    """

    def __init__(self, path: Location, on_change: OnChange) -> None:
        if on_change not in _WAYS:
            raise VideoError(f"a change of size can be {' or '.join(_WAYS)}, not {on_change}")
        self.lost: set[str] = set()
        self._path = path
        self._scales = on_change == "scale"
        self._shape: str | None = None
        self._scan = ""
        self._scale: Scaler | None = None
        self._aspect: Fraction | None = None
        self._colors: tuple[int, ...] = ()

    def settle(
        self, frame: VideoFrame, aspect: Fraction | None, place: Callable[[], str]
    ) -> tuple[VideoFrame, bool]:
        """A decoded frame as the first one was, and whether it was scaled for that.

        Args:
            frame: the frame.
            aspect: of its pixels; None if the stream does not say.
            place: tells where in the file it is.

        Raises:
            VideoError: it is another, which is to be refused or cannot be scaled.
        """
        shape = f"{frame.width}x{frame.height} {frame.format.name}"
        scan = "interlaced" if frame.interlaced_frame else "progressive"
        if self._shape is None or self._scale is None:
            self._shape, self._scan, self._scale = shape, scan, Scaler(frame)
            self._aspect, self._colors = aspect, _colors(frame)
        if scan != self._scan:
            raise SourceError(
                f"{self._path} changes from {self._scan} to {scan} at {place()}, as "
                "telecined film does; undo that first, or deinterlace it"
            )
        if aspect != self._aspect:
            self.lost.add("changes of the pixel aspect ratio")
        if shape == self._shape:
            self._compare_colors(frame)
            return frame, False
        change = f"{self._path} changes from {self._shape} to {shape} at {place()}"
        if scan == "interlaced":
            raise SourceError(f"{change} and is interlaced; deinterlace it, or split it there")
        if not self._scales:
            raise SourceError(
                f"{change}; have what follows scaled to the size and format of the first frame "
                "(--on-change scale), or split it there and enhance the parts one by one"
            )
        if self._scale.changes_light(frame):
            raise SourceError(
                f"{change} and from one transfer curve to another, as from SDR to HDR; split it "
                "there and enhance the parts one by one"
            )
        scaled = self._scale(frame)
        self._compare_colors(scaled)
        return scaled, True

    def _compare_colors(self, frame: VideoFrame) -> None:
        pairs = zip(self._colors, _colors(frame), strict=True)
        if any(before != after and 0 not in (before, after) for before, after in pairs):
            self.lost.add("changes of colour tags")


def _colors(frame: VideoFrame) -> tuple[int, ...]:
    """Primaries, transfer curve, matrix and range; 0 for what is not told."""
    codes = (frame.color_primaries, frame.color_trc, frame.colorspace)
    return (*(0 if code == _UNSPECIFIED else code for code in codes), frame.color_range)
