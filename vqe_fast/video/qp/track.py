"""The QP that a model is told for each frame of a video that is being enhanced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vqe_fast.models.coding import UNKNOWN, frame_type_code
from vqe_fast.video.coding import BLOCK, FrameCoding
from vqe_fast.video.errors import VideoError
from vqe_fast.video.qp.following import FollowedQPs
from vqe_fast.video.qp.frame import FrameQP

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

    def of(self, pts: int | None, luma: Tensor, *, counts: bool = True) -> FrameCoding:
        """QP and type of the frame with this timestamp, in ticks of the stream; no codec.

        The QP is limited to 0 to 63. Blocks have one each where the stream tells it.

        Args:
            pts: the timestamp.
            luma: of the frame, (B, 1, H, W) in [0, 1].
            counts: whether it counts for ``sources``.

        Raises:
            VideoError: it is unknown, and there is no predictor.
        """
        coding, source = self._found(pts, luma)
        if counts:
            self.sources[source] = self.sources.get(source, 0) + 1
        return coding

    def _found(self, pts: int | None, luma: Tensor) -> tuple[FrameCoding, QPSource]:
        if self._given is not None:
            return FrameCoding(self._given), "given"
        frame = self._stream.of(pts)
        kind = UNKNOWN if frame is None else frame_type_code(frame.type)
        if frame is not None and frame.qp is not None:
            blocks = _blocks(frame, luma.shape[-2], luma.shape[-1])
            return FrameCoding(_limited(frame.qp), blocks, frame_type=kind), "stream"
        if self._estimate is None:
            raise VideoError(
                f"the stream of {self._source} does not tell its QPs, which this model is told; "
                "give one for all frames (--qp), about 32 for a file that looks compressed"
            )
        return FrameCoding(_limited(self._estimate(luma)), frame_type=kind), "estimate"


def _limited(qp: float) -> float:
    return min(max(qp, _RANGE[0]), _RANGE[1])


def _blocks(frame: FrameQP, height: int, width: int) -> Tensor | None:
    """QPs of blocks of 8×8, (1, H/8, W/8) rounded up; None where all have that of the frame."""
    if frame.blocks is None or frame.block_size is None:
        return None
    if frame.blocks.min() == frame.blocks.max():
        return None
    finer = frame.block_size // BLOCK
    blocks = frame.blocks.repeat(finer, 0).repeat(finer, 1)[
        : -(-height // BLOCK), : -(-width // BLOCK)
    ]
    return torch.from_numpy(blocks.clip(int(_RANGE[0]), int(_RANGE[1])).astype(np.uint8))[None]
