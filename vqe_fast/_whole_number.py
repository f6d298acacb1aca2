"""Whole numbers as arguments: Python's and NumPy's integers, no floats, no bools."""

from __future__ import annotations

import numbers


def whole_number(
    name: str, value: object, least: int | None = None, most: int | None = None
) -> int:
    """``value`` as an int; ``torch.compile`` traces it.

    Args:
        name: of the argument, for the message.
        value: any :class:`numbers.Integral` that is no bool.
        least: the smallest that is taken; None for any.
        most: the largest, beside a ``least``; None for any.

    Raises:
        ValueError: it is not a whole number, or out of its range.
    """
    number = _as_int(value)
    if number is None or _is_outside(number, least, most):
        extent = "" if least is None else f" of at least {least}"
        if most is not None:
            extent = f" from {least} to {most}"
        raise ValueError(f"{name} must be a whole number{extent}, got {value!r}")
    return number


def odd_number(name: str, value: object, most: int) -> int:
    """As :func:`whole_number`, of 1, 3, 5 and so on."""
    number = _as_int(value)
    if number is None or _is_outside(number, 1, most) or number % 2 == 0:
        raise ValueError(f"{name} must be an odd whole number from 1 to {most}, got {value!r}")
    return number


def one_of(name: str, value: object, *known: int) -> int:
    """As :func:`whole_number`, of a few numbers."""
    number = _as_int(value)
    if number is None or number not in known:
        kind = "a whole number, " if number is None else ""
        first = ", ".join(map(str, known[:-1]))
        raise ValueError(f"{name} must be {kind}{first} or {known[-1]}, got {value!r}")
    return number


def _as_int(value: object) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    return None


def _is_outside(number: int, least: int | None, most: int | None) -> bool:
    return (least is not None and number < least) or (most is not None and number > most)
