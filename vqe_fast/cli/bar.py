"""A progress bar for work of which it is known how much there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(work: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar with the number done and the time left; None where there is no terminal.

    Args:
        work: what is done, in a word.

    Yields:
        To be told how much is done, of how much.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task(work, total=None)

    def show(done: int, total: int) -> None:
        bar.start()  # only now: a refusal leaves no empty bar behind
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()
