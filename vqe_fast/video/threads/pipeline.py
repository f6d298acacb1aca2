"""Pipeline of three stages: produce in a thread, work in the caller's, consume in another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from vqe_fast.video.threads.channel import Cancelled, Channel
from vqe_fast.video.threads.stage import Stage, wait_for

T = TypeVar("T")
U = TypeVar("U")

DEPTH = 4
"""Items that a stage may be ahead of the next one."""


def run_pipeline(
    produce: Iterable[T],
    work: Callable[[Iterable[T]], Iterable[U]],
    consume: Callable[[Iterable[U]], None],
) -> None:
    """Runs a pipeline: the items of ``produce`` pass through ``work`` to ``consume``.

    Beside what ``work`` holds, no more than ``2 * DEPTH + 1`` items exist at a time. The first
    exception in any stage, or one that a signal raises in the calling thread, stops the others
    before it is raised here.

    Args:
        produce: iterated in a thread of its own.
        work: called once, with the iterable of the items; what it returns is iterated in the
            calling thread.
        consume: called once, in a thread of its own, with the iterable of what ``work`` yields.
    """
    before: Channel[T] = Channel(DEPTH)
    after: Channel[U] = Channel(DEPTH)

    def cancel() -> None:
        before.cancel()
        after.cancel()

    def feed() -> None:
        for item in produce:
            before.put(item)
        before.close()

    stages = (
        Stage("vqe-fast decode", feed, cancel),
        Stage("vqe-fast encode", lambda: consume(after), cancel),
    )
    try:
        for stage in stages:
            stage.start()
        with suppress(Cancelled):
            for item in work(before):
                after.put(item)
            after.close()
        wait_for(stages)
    except BaseException:
        cancel()
        wait_for(stages, KeyboardInterrupt)
        raise
    for stage in stages:
        if stage.error is not None:
            raise stage.error
