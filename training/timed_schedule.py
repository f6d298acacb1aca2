"""Learning rate schedule by the clock: training ends when its time is over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClockSchedule:
    """Schedule by the clock: warm-up by steps, then constant, then a straight line down to 0.

    What passes before the first step, such as compiling, is taken from the constant part.

    Attributes:
        seconds: from the beginning of the run to the last step.
        warmup: steps of the warm-up.
        cooldown: share of the seconds, at the end, for the way down.
    """

    seconds: float
    warmup: int = 100
    cooldown: float = 0.6

    def factor_at(self, elapsed: float, step: int) -> float:
        """The factor after so many seconds and steps; 0 when time is over."""
        left = max(self.seconds - elapsed, 0.0) / (self.cooldown * self.seconds)
        return min((step + 1) / self.warmup, left, 1.0)

    def is_over(self, elapsed: float) -> bool:
        """Whether the time is over after so many seconds."""
        return elapsed >= self.seconds
