"""Changes of size, pixel format or scan in the middle of a stream: refused, or scaled away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from av.video.frame import VideoFrame

from vqe_fast.video.errors import VideoError
from vqe_fast.video.frames.reformat import Scaler
from vqe_fast.video.options import OnChange

_WAYS = ("refuse", "scale")


class Changes:
    """What becomes of frames that are not like the first one of their stream.

    Args:
        path: of the file, in messages.
        on_change: ``"refuse"``, or ``"scale"`` for frames of another size or pixel format.

    Raises:
        VideoError: another ``on_change``.
    """

    def __init__(self, path: Path, on_change: OnChange) -> None:
        if on_change not in _WAYS:
            raise VideoError(f"a change of size can be {' or '.join(_WAYS)}, not {on_change}")
        self._path = path
        self._scales = on_change == "scale"
        self._shape: str | None = None
        self._scan = ""
        self._scale: Scaler | None = None

    def settle(self, frame: VideoFrame, place: Callable[[], str]) -> tuple[VideoFrame, bool]:
        """A decoded frame as the first one was, and whether it was scaled for that.

        Args:
            frame: the frame.
            place: tells where in the file it is.

        Raises:
            VideoError: it is another, which is to be refused or cannot be scaled.
        """
        shape = f"{frame.width}x{frame.height} {frame.format.name}"
        scan = "interlaced" if frame.interlaced_frame else "progressive"
        if self._shape is None or self._scale is None:
            self._shape, self._scan, self._scale = shape, scan, Scaler(frame)
        if scan != self._scan:
            raise VideoError(
                f"{self._path} changes from {self._scan} to {scan} at {place()}, as "
                "telecined film does; undo that first, or deinterlace it"
            )
        if shape == self._shape:
            return frame, False
        change = f"{self._path} changes from {self._shape} to {shape} at {place()}"
        if scan == "interlaced":
            raise VideoError(f"{change} and is interlaced; deinterlace it, or split it there")
        if not self._scales:
            raise VideoError(
                f"{change}; have what follows scaled to the size and format of the first frame "
                "(--on-change scale), or split it there and enhance the parts one by one"
            )
        if self._scale.changes_light(frame):
            raise VideoError(
                f"{change} and from one transfer curve to another, as from SDR to HDR; split it "
                "there and enhance the parts one by one"
            )
        return self._scale(frame), True
