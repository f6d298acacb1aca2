"""Progress: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from vqe_fast.cli.exit_codes import say_error
from vqe_fast.cli.in_words import clock, rate_in_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import BarColumn
    from rich.progress import Progress as Bar

_LINE_SECONDS = 30.0
_TITLE, _FIGURES = 24, 48
"""Characters of a title at most, and those that all but title and bar take."""


class Progress(Protocol):
    """What shows how much is done, of how much if that is known, and what is to be said."""

    def __call__(self, done: int, total: int | None) -> None:
        """Shows how much is done."""
        ...

    def say(self, text: str) -> None:
        """Prints a sentence beside it."""
        ...

    def entitle(self, title: str) -> None:
        """Changes what is written before it."""
        ...


@contextmanager
def progress_bar(
    title: str | None = None, *, quiet: bool = False, frames: bool = False
) -> Iterator[Progress | None]:
    """Progress with the number done and the time left, on standard error.

    A terminal shows a bar; elsewhere there is a line every thirty seconds.

    Args:
        title: what to write before it.
        quiet: show none.
        frames: what is counted are frames: tell how many a second.

    Yields:
        To be told how much is done, and of how much if that is known; None if none is shown.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or sys.stderr is None:
        yield None
    elif console.is_terminal:
        with _bar(title, frames, console) as show:
            yield show
    else:
        yield _Lines(title, frames)


@contextmanager
def _bar(title: str | None, frames: bool, console: Console) -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    middle = BarColumn()
    columns = (
        TextColumn("{task.fields[title]}", markup=False),
        middle,
        MofNCompleteColumn(),
        *((TextColumn("{task.fields[rate]}"),) if frames else ()),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=console)
    try:
        yield _Shown(bar, middle, title)
    finally:
        with suppress(OSError):  # the terminal is gone
            bar.stop()


class _Shown:
    """Progress on a terminal."""

    def __init__(self, bar: Bar, middle: BarColumn, title: str | None) -> None:
        self._bar, self._middle = bar, middle
        self._task = bar.add_task("", total=None, rate="", title="")
        self.entitle(title or "")

    def __call__(self, done: int, total: int | None) -> None:
        speed = self._bar.tasks[0].speed
        rate = "" if speed is None else rate_in_words(speed)
        self._bar.update(self._task, completed=done, total=total, rate=rate)
        self._bar.start()  # only now: a refusal leaves no empty bar behind

    def say(self, text: str) -> None:
        self._bar.console.print(f"vqe-fast: {text}", markup=False, highlight=False)

    def entitle(self, title: str) -> None:
        name = _shortened(title)
        room = self._bar.console.width - len(name) - _FIGURES
        self._middle.bar_width = max(5, min(40, room))
        self._bar.update(self._task, title=name)


class _Lines:
    """Progress for a log: a plain line every thirty seconds."""

    def __init__(self, title: str | None, frames: bool) -> None:
        self.entitle(title or "")
        self._frames = frames
        self._since: float | None = None
        self._before = 0

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self._since is None:  # what was done already is not of this run
            self._since = self._said = now
            self._before = max(done - 1, 0)
        if now - self._said >= _LINE_SECONDS:
            self._said = now
            self._say(done, total, now - self._since)

    def say(self, text: str) -> None:
        say_error(text)

    def entitle(self, title: str) -> None:
        self._title = f"{title}: " if title else ""

    def _say(self, done: int, total: int | None, seconds: float) -> None:
        rate = (done - self._before) / seconds
        of_all = f"{done}/{total}" if total else str(done)
        words = [f"{of_all} frames" if self._frames else of_all]
        if self._frames:
            words.append(rate_in_words(rate))
        if total and rate > 0:
            words.append(f"{clock(max(total - done, 0) / rate)} left")
        say_error(f"{time.strftime('%H:%M:%S')} {self._title}{', '.join(words)}")


def _shortened(title: str) -> str:
    first = _TITLE // 3
    return title if len(title) <= _TITLE else f"{title[:first]}…{title[first + 1 - _TITLE :]}"
