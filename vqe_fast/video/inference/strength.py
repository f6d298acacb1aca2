"""Correction strength: the share of a model's correction that is applied, by codec and QP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vqe_fast.models.coding import CODECS, codec_code
from vqe_fast.video.frames.transfer import send

Table = Mapping[str, Sequence[Sequence[float]]]
"""Codec, by FFmpeg's name → rows of a QP, the strength there, and that of chroma if it differs.

QPs ascend. ``"other"`` stands for codecs that are not listed.
"""

Applied = Literal["whole", "part", "none"]

OTHER = "other"


class Strength(NamedTuple):
    """Shares of a correction that are applied to a frame, 0 to 1: of luma and of chroma.

    Attributes:
        luma: that of luma, or of all planes of a model that does not tell luma from chroma.
        chroma: that of chroma.
    """

    luma: float = 1.0
    chroma: float = 1.0

    @property
    def applied(self) -> Applied:
        """``whole``, ``part`` or ``none``, for reports."""
        return "whole" if self == WHOLE else "none" if self == NONE else "part"

    def of_correction(self, frames: Tensor, enhanced: Tensor) -> Tensor:
        """Linear blend of frames and their enhancement by the strength.

        Args:
            frames: what the model saw, (B, C, H, W).
            enhanced: what it made of them, likewise.
        """
        if self.luma == self.chroma or enhanced.shape[1] == 1:
            return frames.lerp(enhanced, self.luma)
        share = torch.tensor([self.luma, self.chroma, self.chroma], dtype=enhanced.dtype)
        return frames.lerp(enhanced, send(share, enhanced.device).view(3, 1, 1))


WHOLE = Strength()
NONE = Strength(0.0, 0.0)


class Strengths:
    """Table of strengths by codec and QP, linearly interpolated, constant beyond its ends.

    Args:
        table: of the weights' card. A codec without an entry, where there is none for
            ``"other"`` either, has the strength 1.

    Attributes:
        table: the same.

    Raises:
        ValueError: strengths outside 0 to 1, QPs that do not ascend, or rows of other lengths.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._table: dict[str, tuple[list[float], list[float], list[float]]] = {}
        for codec, rows in table.items():
            if {len(row) for row in rows} - {2, 3}:
                raise ValueError(
                    f"the strengths for {codec} must be rows of a QP, a strength, and that of "
                    f"chroma if it differs, got {rows}"
                )
            qps, luma, chroma = ([float(row[n]) for row in rows] for n in (0, 1, -1))
            if sorted(set(qps)) != qps or not all(0 <= each <= 1 for each in luma + chroma):
                raise ValueError(
                    f"the strengths for {codec} must lie in 0 to 1 at ascending QPs, got {rows}"
                )
            self._table[codec] = qps, luma, chroma

    @property
    def is_needed(self) -> bool:
        """Whether a strength below 1 is in the table."""
        return any(min(luma + chroma) < 1 for _, luma, chroma in self._table.values())

    def of(self, codec: int, qp: float) -> Strength:
        """The strength for a frame.

        Args:
            codec: a code of :mod:`vqe_fast.models.coding`.
            qp: of the frame.
        """
        known = self._table.get(CODECS[codec], self._table.get(OTHER))
        if known is None:
            return WHOLE
        qps, luma, chroma = known
        return Strength(float(np.interp(qp, qps, luma)), float(np.interp(qp, qps, chroma)))


def interpolated(first: Table, second: Table, share: float) -> Table:
    """The table whose strengths are (1 − share) times those of one and share times another's.

    Args:
        first: as :class:`Strengths` takes it.
        second: likewise.
        share: of ``second``, 0 to 1.

    Returns:
        ``first`` itself for a share of 0, ``second`` for 1. Between its points a strength is
        linear, so the table is exact with the points of both.
    """
    if share in (0, 1):
        return second if share else first
    before, after = Strengths(first), Strengths(second)

    def row(codec: int, qp: float) -> list[float]:
        both = zip(before.of(codec, qp), after.of(codec, qp), strict=True)
        return [qp, *(a + share * (b - a) for a, b in both)]

    blended = {}
    for name in {**first, **second}:
        rows = (table.get(name, table.get(OTHER, ())) for table in (first, second))
        qps = {qp for points in rows for qp, *_ in points}
        blended[name] = [row(codec_code(name), qp) for qp in sorted(qps)]
    return blended
