"""QPs synchronised with decoded frames by timestamp."""

from __future__ import annotations

from collections.abc import Iterable

from vqe_fast.video.errors import VideoError
from vqe_fast.video.qp.frame import FrameQP


class SyncedQPs:
    """QPs of a stream, matched by timestamp to frames in display order.

    Args:
        frames: as :func:`.reader.iterate_qp` yields them.
    """

    def __init__(self, frames: Iterable[FrameQP]) -> None:
        self._frames = iter(frames)
        self._next: FrameQP | None = None

    def of(self, pts: int | None, pictures: int = 1) -> FrameQP | None:
        """The QP of the frame with this timestamp, or None; earlier frames are skipped.

        Args:
            pts: the timestamp.
            pictures: of which the frame is made, where there are no timestamps to tell.
        """
        while True:
            if self._next is None:
                self._next = self._read()
            frame = self._next
            if frame is None or (frame.pts is not None and pts is not None and frame.pts > pts):
                return None
            self._next = None
            if frame.pts is None or pts is None:
                for _ in range(pictures - 1):
                    self._read()
                return frame
            if frame.pts == pts:
                return frame

    def _read(self) -> FrameQP | None:
        try:
            return next(self._frames, None)
        except VideoError:
            # What of a damaged file can be decoded is worked on all the same.
            self._frames = iter(())
            return None
