"""Three stages at once: produce in one thread, work in the caller's, consume in another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from vqe_fast.video.channel import Cancelled, Channel

T = TypeVar("T")
U = TypeVar("U")

DEPTH = 4
"""Items that a stage may be ahead of the next one."""

_POLL_SECONDS = 0.005


class _Stage(Thread):
    """A thread that says when it has ended, and with which error.

    ``Thread.join`` alone does not do: in Python 3.11 a signal that interrupts it makes the thread
    look dead while it runs on, and the file that it writes would be taken away from it.
    """

    def __init__(self, name: str, body: Callable[[], None], on_error: Callable[[], None]) -> None:
        super().__init__(name=name)
        self.error: BaseException | None = None
        self.ended = False
        self._body = body
        self._on_error = on_error

    def run(self) -> None:
        try:
            with suppress(Cancelled):
                self._body()
        except BaseException as error:  # for the calling thread
            self.error = error
            self._on_error()
        finally:
            self.ended = True


def run_pipeline(
    produce: Iterable[T],
    work: Callable[[Iterable[T]], Iterable[U]],
    consume: Callable[[Iterable[U]], None],
) -> None:
    """Passes the items of ``produce`` through ``work`` to ``consume``.

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
        _Stage("vqe-fast decode", feed, cancel),
        _Stage("vqe-fast encode", lambda: consume(after), cancel),
    )
    try:
        for stage in stages:
            stage.start()
        with suppress(Cancelled):
            for item in work(before):
                after.put(item)
            after.close()
        _wait_for(stages)
    except BaseException:
        cancel()
        _wait_for(stages, KeyboardInterrupt)
        raise
    for stage in stages:
        if stage.error is not None:
            raise stage.error


def _wait_for(stages: Iterable[_Stage], *ignored: type[BaseException]) -> None:
    """Waits for the end of the stages that were started; ``ignored`` does not interrupt it."""
    for stage in stages:
        if stage.ident is None:
            continue
        while not stage.ended:
            with suppress(*ignored):
                time.sleep(_POLL_SECONDS)
        stage.join()
