"""Thread pool for lists of jobs, which stops at the first error or an interruption."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

_REPORT_INTERVAL = 0.2  # seconds


class Stopped(Exception):
    """Raised in jobs when another one failed, or the user interrupted."""


class Crew:
    """Thread pool; encoders and decoders let go of Python's lock.

    Its queues are written in C: a signal that raises in the main thread cannot leave a lock behind.

    Attributes:
        total: how many ticks all jobs together will make.
    """

    def __init__(self, workers: int, progress: Callable[[int, int], None] | None) -> None:
        """Starts nothing yet.

        Args:
            workers: threads.
            progress: called in the caller's thread with the ticks so far and ``total``.
        """
        self.total = 0
        self._workers = workers
        self._progress = progress
        self._stopping = False
        self._ticks = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def tick(self) -> None:
        """Counts progress, and raises if the pool is stopped; jobs call it again and again.

        Raises:
            Stopped: the job shall end.
        """
        if self._stopping:
            raise Stopped
        with self._lock:
            self._ticks += 1

    def run(self, jobs: Collection[Callable[[], T]]) -> Iterator[T]:
        """Yields the results of the jobs as they come; the first error of any is raised."""
        todo: SimpleQueue[Callable[[], T]] = SimpleQueue()
        done: SimpleQueue[Callable[[], T]] = SimpleQueue()
        for job in jobs:
            todo.put(job)
        self._threads = [
            threading.Thread(target=self._work, args=(todo, done), daemon=True)
            for _ in range(min(self._workers, len(jobs)))
        ]
        for thread in self._threads:
            thread.start()
        for _ in jobs:
            yield self._next(done)()

    def _next(self, done: SimpleQueue[Callable[[], T]]) -> Callable[[], T]:
        while True:
            try:
                outcome = done.get(timeout=_REPORT_INTERVAL)
            except Empty:
                self._report()
            else:
                self._report()
                return outcome

    def _work(self, todo: SimpleQueue[Callable[[], T]], done: SimpleQueue[Callable[[], T]]) -> None:
        while not self._stopping:
            try:
                job = todo.get_nowait()
            except Empty:
                return
            done.put(_outcome(job))

    def _report(self) -> None:
        if self._progress is not None and self.total:
            self._progress(self._ticks, self.total)


def _outcome(job: Callable[[], T]) -> Callable[[], T]:
    """Does a job; what it returns or raises is returned or raised by the function returned."""
    try:
        result = job()
    except BaseException as caught:
        error = caught

        def fail() -> T:
            raise error

        return fail
    return lambda: result
