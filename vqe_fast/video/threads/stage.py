"""Stages in threads of their own, and prefetching."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from threading import Thread
from typing import Generic, TypeVar

from vqe_fast.video.threads.channel import Cancelled, Channel

T = TypeVar("T")

_POLL_SECONDS = 0.005


class Stage(Thread):
    """A thread that keeps its error, and knows whether it has ended.

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
        """Runs the body, in the thread."""
        try:
            with suppress(Cancelled):
                self._body()
        except BaseException as error:  # for the calling thread
            self.error = error
            self._on_error()
        finally:
            self.ended = True


def wait_for(stages: Iterable[Stage], *ignored: type[BaseException]) -> None:
    """Waits for the end of the stages that were started; ``ignored`` does not interrupt it."""
    for stage in stages:
        if stage.ident is None:
            continue
        while not stage.ended:
            with suppress(*ignored):
                time.sleep(_POLL_SECONDS)
        stage.join()


class Ahead(Generic[T]):
    """Prefetches items in a thread of its own.

    The thread starts with the first item, and ends after the last one, after an error, or with
    :meth:`close`.

    Args:
        name: of the thread.
        items: what is made there, and closed there.
        depth: items that may exist at a time beside the one that is being made.
    """

    def __init__(self, name: str, items: Generator[T, None, None], depth: int) -> None:
        self._items = items
        self._made: Channel[T] = Channel(depth)
        self._stage = Stage(name, self._make, self._made.close)

    def __iter__(self) -> Iterator[T]:
        """Yields the items, once; raises the error that ended them where it came."""
        self._stage.start()
        yield from self._made
        if self._stage.error is not None:
            raise self._stage.error

    def close(self) -> None:
        """Ends the thread, after the item that it is at; no signal interrupts that.

        Who waits for an item, or asks for one later, gets
        :class:`~vqe_fast.video.threads.channel.Cancelled`.
        """
        self._made.cancel()
        wait_for([self._stage], KeyboardInterrupt)

    def _make(self) -> None:
        with closing(self._items) as items:
            for item in items:
                self._made.put(item)
        self._made.close()
