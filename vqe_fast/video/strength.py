"""How much of a model's correction is applied, where all of it would do harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from vqe_fast.models.coding import CODECS

Table = Mapping[str, Sequence[Sequence[float]]]
"""Codec, by FFmpeg's name → pairs of a QP and the strength there, QPs ascending.

``"other"`` stands for codecs that are not listed.
"""

Applied = Literal["whole", "part", "none"]

OTHER = "other"


class Strength:
    """Strengths by codec and QP, linear between those of the table, and constant beyond its ends.

    Args:
        table: of the weights' card. A codec without an entry, where there is none for
            ``"other"`` either, has the strength 1.

    Raises:
        ValueError: strengths outside 0 to 1, or QPs that do not ascend.
    """

    def __init__(self, table: Table) -> None:
        self._table: dict[str, tuple[list[float], list[float]]] = {}
        for codec, pairs in table.items():
            qps, strengths = ([float(pair[n]) for pair in pairs] for n in (0, 1))
            if sorted(set(qps)) != qps or not all(0 <= each <= 1 for each in strengths):
                raise ValueError(
                    f"the strengths for {codec} must lie in 0 to 1 at ascending QPs, got {pairs}"
                )
            self._table[codec] = qps, strengths

    @property
    def is_needed(self) -> bool:
        """Whether it may be below 1."""
        return any(min(strengths) < 1 for _, strengths in self._table.values())

    def of(self, codec: int, qp: float) -> float:
        """The strength for a frame.

        Args:
            codec: a code of :mod:`vqe_fast.models.coding`.
            qp: of the frame.
        """
        known = self._table.get(CODECS[codec], self._table.get(OTHER))
        return 1.0 if known is None else float(np.interp(qp, *known))


def applied(strength: float) -> Applied:
    """What a strength means, for reports."""
    return "whole" if strength == 1 else "none" if strength == 0 else "part"
