"""Settings of an evaluation: how clips were compressed, as tables and plots show it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from vqe_fast.data.degradation import Degradation
from vqe_fast.data.layouts import told_qp, without_qp


@dataclass(frozen=True)
class Setting:
    """A setting: one column of tables, one point of curves.

    Attributes:
        name: of it, such as ``x264 QP 37``.
        family: what settings share that differ in QP, CRF or quality only.
        codec: the encoder that made the streams, or where they were there before, their codec.
        mode: what ``value`` is: ``"qp"``, ``"crf"`` or ``"quality"``; None if there is none.
        value: that the encoder was asked for; None if unknown.
        max_bitrate: the most kbit/s that it was allowed; None for any.
        base_qp: the QP that all frames were asked to have; None if there is none.
        is_given: whether the streams were there before, rather than encoded here.
    """

    name: str
    family: str
    codec: str
    mode: str | None = None
    value: int | None = None
    max_bitrate: int | None = None
    base_qp: float | None = None
    is_given: bool = False

    @classmethod
    def of(cls, degradation: Degradation) -> Self:
        """The setting of a degradation."""
        name, value = degradation.name, degradation.value
        return cls(
            name=name,
            family=re.sub(rf"(QP|CRF|JPEG) {value}\b", r"\1", name, count=1),
            codec=degradation.codec,
            mode=degradation.mode,
            value=value,
            max_bitrate=degradation.max_bitrate,
            base_qp=degradation.base_qp,
        )

    @classmethod
    def of_pairs(cls, name: str, codec: str, qp: float | None) -> Self:
        """The setting of streams that were there before.

        Args:
            name: that may tell a QP, as ``HM16.5_LDP QP37`` does.
            codec: FFmpeg's name of the streams'; ``"unknown"`` of frames without one.
            qp: that of the frames if the name tells none; None if unknown.
        """
        told = told_qp(name)
        return cls(
            name=name,
            family=without_qp(name),
            codec=codec,
            mode=None if told is None else "qp",
            value=None if told is None else int(told),
            base_qp=qp if told is None else told,
            is_given=True,
        )
