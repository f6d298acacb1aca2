"""Formats of times and ratios for people."""

from __future__ import annotations


def seconds_in_words(seconds: float) -> str:
    """A time with three digits and a unit: ``"12.3 ms"``."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds * 1e9)} ns"


def ratio_in_words(ratio: float) -> str:
    """A ratio with as many digits as say something: ``"3.4"``."""
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
