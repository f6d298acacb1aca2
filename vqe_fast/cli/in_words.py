"""Sizes, rates and times as people read them."""

from __future__ import annotations


def size_in_words(count: int) -> str:
    """A number of bytes with three digits and a unit."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = min((len(str(count)) - 1) // 3, len(units) - 1)
    return f"{count / 1000**power:.3g} {units[power]}"


def rate_in_words(fps: float) -> str:
    """Frames a second, ``29.7 fps``, or seconds a frame where there is less than one."""
    if fps <= 0:
        return "–"
    return f"{fps:.1f} fps" if fps >= 1 else f"{1 / fps:.1f} s/frame"


def time_in_words(seconds: float) -> str:
    """A time roughly: ``40 seconds``, ``12 minutes``, ``3.5 hours``."""
    if seconds < 90:
        whole = round(seconds)
        return f"{whole} second{'' if whole == 1 else 's'}"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``0:12:05``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
