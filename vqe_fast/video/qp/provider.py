"""QPs of the frames under enhancement: given, of the stream, or estimated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vqe_fast.models.coding import UNKNOWN, frame_type_code
from vqe_fast.storage.location import Location
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.inference.frame_coding import BLOCK, FrameCoding
from vqe_fast.video.qp.estimate import Estimator
from vqe_fast.video.qp.frame import FrameQP
from vqe_fast.video.qp.reader import read_frames
from vqe_fast.video.qp.synced_reader import SyncedQPs
from vqe_fast.video.threads.stage import Ahead

QPSource = Literal["given", "stream", "estimate"]

_RANGE = (0.0, 63.0)
_AHEAD = 8
"""Frames whose QPs may be known before they are asked for."""


class QPProvider:
    """Provider of the QPs of frames, which are asked for in display order.

    A frame's QP is the one given by the user, else that of its stream, else what ``estimate``
    makes of its luma. The stream is read a second time, in a thread of its own, a few frames
    further than the frames have come.

    Args:
        source: the video file.
        given: the QP of all frames.
        estimate: called with what gives luma; None where there is no predictor.

    Attributes:
        sources: where the QPs so far came from → how many.

    Raises:
        VideoError: the QP given is not in 0 to 63.
    """

    def __init__(
        self,
        source: Location,
        given: float | None = None,
        estimate: Estimator | None = None,
    ) -> None:
        if given is not None and not _RANGE[0] <= given <= _RANGE[1]:
            raise VideoError(f"the QP must lie in 0 to 63, got {given}")
        self.sources: dict[QPSource, int] = {}
        self._source = source
        self._given = given
        self._estimate = estimate
        self._read_from(None)

    def start_at(self, ticks: int | None) -> None:
        """Restarts reading at the last keyframe at or before ``ticks``; None: the beginning."""
        self.close()
        self._read_from(ticks)

    def close(self) -> None:
        """Ends the thread that reads the stream; no more QPs can be asked for."""
        self._ahead.close()

    def of(
        self,
        pts: int | None,
        size: tuple[int, int],
        luma: Callable[[], Tensor],
        *,
        counts: bool = True,
        pictures: int = 1,
    ) -> FrameCoding:
        """Coding parameters of the frame with this timestamp, in ticks of the stream; no codec.

        The QP is limited to 0 to 63. Blocks have one each where the stream tells it.

        Args:
            pts: the timestamp.
            size: height and width of the frame.
            luma: gives that of the frame, (1, 1, H, W) in [0, 1]; called if it is needed.
            counts: whether it counts for ``sources``.
            pictures: of the stream, of which the frame is made.

        Raises:
            VideoError: it is unknown, and there is no predictor.
        """
        coding, source = self._found(pts, size, luma, pictures)
        if counts:
            self.sources[source] = self.sources.get(source, 0) + 1
        return coding

    def _read_from(self, ticks: int | None) -> None:
        self._ahead = Ahead("vqe-fast QPs", read_frames(self._source, ticks), _AHEAD)
        self._stream = SyncedQPs(self._ahead)

    def _found(
        self, pts: int | None, size: tuple[int, int], luma: Callable[[], Tensor], pictures: int
    ) -> tuple[FrameCoding, QPSource]:
        if self._given is not None:
            return FrameCoding(self._given), "given"
        frame = self._stream.of(pts, pictures)
        kind = UNKNOWN if frame is None else frame_type_code(frame.type)
        if frame is not None and frame.qp is not None:
            blocks = block_qps(frame, *size)
            return FrameCoding(_limited(frame.qp), blocks, frame_type=kind), "stream"
        if self._estimate is None:
            raise SourceError(
                f"the stream of {self._source} does not tell its QPs, which this model is told; "
                "give one for all frames (--qp), about 32 for a file that looks compressed"
            )
        return FrameCoding(_limited(self._estimate(luma)), frame_type=kind), "estimate"


def _limited(qp: float) -> float:
    return min(max(qp, _RANGE[0]), _RANGE[1])


def block_qps(frame: FrameQP, height: int, width: int) -> Tensor | None:
    """QPs of blocks of 8×8, (1, H/8, W/8) rounded up; None where all have that of the frame.

    Blocks of a frame that was scaled are none of the frame that is enhanced.
    """
    if frame.blocks is None or frame.block_size is None:
        return None
    if frame.blocks.shape != (-(-height // frame.block_size), -(-width // frame.block_size)):
        return None
    if frame.blocks.min() == frame.blocks.max():
        return None
    finer = frame.block_size // BLOCK
    blocks = frame.blocks.repeat(finer, 0).repeat(finer, 1)[
        : -(-height // BLOCK), : -(-width // BLOCK)
    ]
    return torch.from_numpy(blocks.clip(int(_RANGE[0]), int(_RANGE[1])).astype(np.uint8))[None]
