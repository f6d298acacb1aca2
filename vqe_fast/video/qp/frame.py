"""``FrameQP``: type, size and quantisation parameters of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FrameType = Literal["I", "P", "B", "?"]
QPOrigin = Literal["blocks", "slices", "header", "unknown"]
QPMap = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class FrameQP:
    """Type, size and quantisation parameter of one displayed frame.

    QPs are those of H.264 and HEVC: six more double the quantiser's step, and QP 4 has a step of 1
    in samples of 8 bits. At other depths a QP stands for the same fraction of the value range, as
    slices code it: with 10 bits QPs begin at −12. VP9 and AV1 have the QP with the same step.

    Attributes:
        pts: timestamp in ticks of the stream; None if the file has none.
        type: ``"I"``, ``"P"``, ``"B"``, or ``"?"`` for another or an unknown one.
        size: bytes of the packet that the frame came in, frames in it that are not shown included.
        qp: mean over the frame, not rounded; None if it is unknown.
        blocks: QP of each block, rounded, (rows, columns) int8, from the top left; those at the
            right and at the bottom may reach beyond the frame. Where H.264 has no coefficients, it
            is the QP of the block coded before; where its fields are coded apart, their rows of
            blocks take turns. None if it is unknown.
        block_size: width and height of a block in pixels: 16 for H.264, 8 for VP9; None without
            ``blocks``.
        origin: what ``qp`` comes from: ``"blocks"`` their mean, ``"slices"`` the slice headers and
            ``"header"`` the frame header, neither of which knows what blocks add to it, or
            ``"unknown"``.
    """

    pts: int | None
    type: FrameType
    size: int
    qp: float | None = None
    blocks: QPMap | None = None
    block_size: int | None = None
    origin: QPOrigin = "unknown"
