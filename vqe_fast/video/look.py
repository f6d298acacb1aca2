"""Looks of an enhancement: ``faithful``, ``sharp``, and what lies between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vqe_fast.video.errors import VideoError

_FAITHFUL, _SHARP = "faithful", "sharp"


@dataclass(frozen=True)
class Look:
    """Interpolation between weights that came close to the original and those trained to please.

    Attributes:
        strength: share of the sharp weights, 0 to 1.
    """

    strength: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Look:
        """The look of a text: ``faithful``, ``sharp``, or ``sharp:0.5`` for a strength.

        Raises:
            VideoError: it is of another form, or the strength lies outside 0 to 1.
        """
        if text == _FAITHFUL:
            return cls()
        name, colon, number = text.partition(":")
        try:
            strength = float(number) if colon else 1.0
        except ValueError:
            strength = math.nan
        if name != _SHARP or not 0 <= strength <= 1:
            raise VideoError(
                f"a look is faithful, sharp, or sharp:0.5 for a strength from 0 to 1, got {text!r}"
            )
        return cls(strength)

    @staticmethod
    def is_meant(text: str) -> bool:
        """Whether a text names a look, be its strength right or wrong."""
        return text.partition(":")[0] in (_FAITHFUL, _SHARP)

    def __str__(self) -> str:
        """The shortest text that :meth:`parse` takes for it."""
        if self.strength in (0, 1):
            return _SHARP if self.strength else _FAITHFUL
        return f"{_SHARP}:{self.strength!r}"


FAITHFUL = Look()
"""The look of weights as they were trained for the least error."""
