"""Tables of benchmark records, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from vqe_fast._memory import in_words
from vqe_fast.bench.format import ratio_in_words, seconds_in_words
from vqe_fast.bench.record import Row

LEGEND = "speed: 1 is the best alternative; memory: beyond what a call is given"


def headline(row: Row, device: str) -> str:
    """Title of the rows that were measured side by side."""
    direction = "forward" if row.direction == "forward" else "forward and backward"
    shape = ", ".join(map(str, row.shape))
    return f"{row.case}, ({shape}), {row.dtype}, {direction}; {device}"


def table(rows: Sequence[Row]) -> Table:
    """A line for each implementation that has a time, the fastest first."""
    built = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    built.add_column("implementation", no_wrap=True)
    for column in ("median", "20 to 80 % of calls", "speed", "memory"):
        built.add_column(column, justify="right")
    for row in sorted(rows, key=lambda row: row.median or 0.0):
        if row.median is not None:
            built.add_row(*_cells(row), style="bold" if row.role == "own" else "")
    return built


def reasons(rows: Sequence[Row]) -> list[str]:
    """Why the others have none, a line each."""
    return [f"{row.implementation}: {row.status}" for row in rows if row.median is None]


def _cells(row: Row) -> list[str]:
    assert row.median is not None and row.p20 is not None and row.p80 is not None
    return [
        row.implementation,
        seconds_in_words(row.median),
        f"{seconds_in_words(row.p20)} to {seconds_in_words(row.p80)}",
        "" if row.ratio is None else ratio_in_words(row.ratio),
        "" if row.peak_bytes is None else in_words(row.peak_bytes),
    ]
