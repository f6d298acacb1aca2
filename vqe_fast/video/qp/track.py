"""The QP that a model is told for each frame of a video that is being enhanced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from torch import Tensor

from vqe_fast.video.errors import VideoError
from vqe_fast.video.qp.following import FollowedQPs

QPSource = Literal["given", "stream", "estimate"]

_RANGE = (0.0, 63.0)


class QPTrack:
    """QPs of frames that are asked for in display order.

    A frame's QP is the one given by the user, else that of its stream, else what ``estimate``
    makes of its luma. The stream is read a second time, as far as the frames have come.

    Args:
        source: the video file.
        given: the QP of all frames.
        estimate: luma (1, 1, H, W) in [0, 1] → QP; None where there is no predictor.

    Attributes:
        sources: where the QPs so far came from → how many.

    Raises:
        VideoError: the QP given is not in 0 to 63.
    """

    def __init__(
        self,
        source: Path,
        given: float | None = None,
        estimate: Callable[[Tensor], float] | None = None,
    ) -> None:
        if given is not None and not _RANGE[0] <= given <= _RANGE[1]:
            raise VideoError(f"the QP must lie in 0 to 63, got {given}")
        self.sources: dict[QPSource, int] = {}
        self._source = source
        self._given = given
        self._estimate = estimate
        self._stream = FollowedQPs(source)

    def start_at(self, ticks: int | None) -> None:
        """Reads the stream from the last keyframe at or before ``ticks``; None: the beginning."""
        self._stream = FollowedQPs(self._source, ticks)

    def of(self, pts: int | None, luma: Tensor, *, counts: bool = True) -> float:
        """The QP of the frame with this timestamp, in ticks of the stream.

        Args:
            pts: the timestamp.
            luma: of the frame, (B, 1, H, W) in [0, 1].
            counts: whether it counts for ``sources``.

        Raises:
            VideoError: it is unknown, and there is no predictor.
        """
        qp, source = self._found(pts, luma)
        if counts:
            self.sources[source] = self.sources.get(source, 0) + 1
        return min(max(qp, _RANGE[0]), _RANGE[1])

    def _found(self, pts: int | None, luma: Tensor) -> tuple[float, QPSource]:
        if self._given is not None:
            return self._given, "given"
        frame = self._stream.of(pts)
        if frame is not None and frame.qp is not None:
            return frame.qp, "stream"
        if self._estimate is None:
            raise VideoError(
                f"the stream of {self._source} does not tell its QPs, which this model is told; "
                "give one for all frames (--qp), about 32 for a file that looks compressed"
            )
        return self._estimate(luma), "estimate"
