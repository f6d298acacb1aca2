"""Progress bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def progress_bar(
    title: str | None = None, *, quiet: bool = False, frames: bool = False
) -> Iterator[Callable[[int, int | None], None] | None]:
    """A progress bar with the number done and the time left, on a terminal only.

    Args:
        title: what to write before it.
        quiet: show none.
        frames: what is counted are frames: tell how many a second.

    Yields:
        To be told how much is done, and of how much if that is known; None if none is shown.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        *((TextColumn(escape(title)),) if title else ()),
        BarColumn(),
        MofNCompleteColumn(),
        *((TextColumn("{task.fields[fps]}"),) if frames else ()),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task("", total=None, fps="")

    def show(done: int, total: int | None) -> None:
        bar.start()  # only now: a refusal leaves no empty bar behind
        speed = bar.tasks[0].speed
        fps = "" if speed is None else f"{speed:.1f} fps"
        bar.update(task, completed=done, total=total, fps=fps)

    try:
        yield show
    finally:
        with suppress(OSError):  # the terminal is gone
            bar.stop()
