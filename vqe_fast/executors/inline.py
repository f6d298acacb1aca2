"""``InlineExecutor``: one worker, which is the process itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from vqe_fast.executors.executor import Chunk, Event, Progress, Setup, Task
from vqe_fast.executors.worker import Worker


class InlineExecutor:
    """An executor that runs its tasks in :meth:`poll`, one after the other.

    Args:
        setup: makes the context, at the first task.
        device: of the model.
    """

    def __init__(self, setup: Setup, device: str) -> None:
        self._worker = Worker(setup, device)
        self._given: tuple[int, Task] | None = None

    @property
    def free(self) -> int:
        """1 if no task was given."""
        return int(self._given is None)

    @property
    def workers(self) -> int:
        """1."""
        return 1

    def submit(self, key: int, task: Task) -> None:
        """Takes the task that the next :meth:`poll` runs."""
        self._given = key, task

    def poll(self, handle: Callable[[Event], None], seconds: float) -> None:
        """Runs the task that was given, to its end."""
        if self._given is None:
            time.sleep(seconds)
            return
        key, task = self._given
        try:
            end = self._worker.run(key, task, _Teller(key, handle))
        except _Unhandled as error:
            raise error.cause from error.cause.__cause__
        finally:
            self._given = None
        handle(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._given = None


class _Teller:
    """A report whose events are handled at once."""

    def __init__(self, key: int, handle: Callable[[Event], None]) -> None:
        self._key, self._handle = key, handle

    def progress(self, done: int) -> None:
        self._tell(Progress(self._key, done))

    def chunk(self, data: bytes) -> None:
        self._tell(Chunk(self._key, data))

    def _tell(self, event: Event) -> None:
        try:
            self._handle(event)
        except Exception as error:
            raise _Unhandled(error) from error


class _Unhandled(BaseException):
    """An exception of whoever handles events, which is none of the task that told them."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
