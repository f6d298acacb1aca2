"""Table of results of an enhancement of several files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vqe_fast.cli.in_words import rate_in_words
from vqe_fast.storage.location import Location

_WIDTH = 80
_NAME = 40
_INDENT = "    "


@dataclass(frozen=True)
class Row:
    """A file, and the result of its enhancement.

    Attributes:
        name: of the file.
        result: a word or two.
        frames: how many were written; None if the file was not enhanced.
        fps: frames per second.
        notes: sentences about it.
    """

    name: str
    result: str
    frames: int | None = None
    fps: float | None = None
    notes: tuple[str, ...] = ()


def table(rows: Iterable[Row], passed_over: Sequence[Location]) -> str:
    """The rows, each with its notes below it; then the files that were passed over."""
    lines = [_line("file", "frames", "rate", "result")]
    for row in rows:
        frames = "-" if row.frames is None else str(row.frames)
        rate = "-" if row.fps is None else rate_in_words(row.fps)
        lines.append(_line(_shortened(row.name), frames, rate, row.result))
        for note in row.notes:
            lines += below_a_row(note)
    if passed_over:
        lines.append("passed over, as their names are not those of videos:")
        for path in passed_over:
            lines += below_a_row(str(path))
    return "\n".join(lines)


def _line(name: str, frames: str, rate: str, result: str) -> str:
    return f"{name:<{_NAME}} {frames:>8} {rate:>12}  {result}"


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"


def below_a_row(text: str) -> list[str]:
    """The lines of a sentence about the row above; names of files stay in one piece."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    )
