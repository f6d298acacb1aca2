"""``Executor``: the interface of workers that run tasks, and the events that come of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias


class Report(Protocol):
    """What a task tells while it runs."""

    def progress(self, done: int) -> None:
        """Tells how much of the task is done, in frames; not more often than is worth a message."""
        ...

    def chunk(self, data: bytes) -> None:
        """Sends a piece of a result that is too large for memory; pieces arrive in order."""
        ...


class Task(Protocol):
    """What a worker does; can be pickled."""

    def run(self, context: Any, report: Report) -> Any:
        """Does it.

        Args:
            context: what the worker's :class:`Setup` made.
            report: to be told what is worth telling meanwhile.

        Returns:
            A small result that can be pickled.
        """
        ...


class Setup(Protocol):
    """What makes the context of a worker, once in each; can be pickled."""

    refusals: tuple[type[Exception], ...]
    """Exceptions of a task that are answers to the user, not faults of a worker."""

    def make(self, device: str) -> Any:
        """The context of a worker whose model is to run on ``device``."""
        ...

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether a task raised this for want of memory: another worker may have more."""
        ...


@dataclass(frozen=True)
class Progress:
    """Frames of a task that are done.

    Attributes:
        key: of the task.
        done: how many.
    """

    key: int
    done: int


@dataclass(frozen=True)
class Chunk:
    """A piece of a result.

    Attributes:
        key: of the task.
        data: the bytes that follow those of the chunk before.
    """

    key: int
    data: bytes


@dataclass(frozen=True)
class Finished:
    """The end of a task that was done.

    Attributes:
        key: of the task.
        result: what it returned.
        worker: where it ran, ``HOST:PROCESS``.
        seconds: that it took there.
    """

    key: int
    result: Any
    worker: str
    seconds: float


@dataclass(frozen=True)
class Refused:
    """The end of a task that raised one of the setup's refusals.

    Attributes:
        key: of the task.
        error: the exception.
        worker: where it ran.
    """

    key: int
    error: Exception
    worker: str


@dataclass(frozen=True)
class Failed:
    """The end of a task that raised another exception.

    Attributes:
        key: of the task.
        what: the exception in a line, such as ``RuntimeError: out of tune``.
        trace: the traceback.
        worker: where it ran.
        error: the exception, where that was in this process: it may not survive being sent.
    """

    key: int
    what: str
    trace: str
    worker: str
    error: Exception | None = None

    def __reduce__(self) -> tuple[type[Failed], tuple[int, str, str, str]]:
        return Failed, (self.key, self.what, self.trace, self.worker)


@dataclass(frozen=True)
class Lost:
    """The end of a task whose worker died, or ran out of memory; another takes the worker's place.

    Attributes:
        key: of the task.
        how: in words, such as ``was killed by signal 9``.
        worker: where it ran, as far as that is known.
    """

    key: int
    how: str
    worker: str


Event: TypeAlias = Progress | Chunk | Finished | Refused | Failed | Lost
"""What executors tell. Of each task all but the last are ``Progress`` and ``Chunk``."""


class Executor(Protocol):
    """Workers that run tasks; what to do with one that is lost is for whoever gives them.

    A context manager: leaving it ends all workers, whatever they are doing.
    """

    @property
    def free(self) -> int:
        """How many tasks more can be given now, each to a worker that is idle."""
        ...

    @property
    def workers(self) -> int:
        """How many workers there are now."""
        ...

    def submit(self, key: int, task: Task) -> None:
        """Gives a task to an idle worker; ``key`` is what events call it by."""
        ...

    def poll(self, handle: Callable[[Event], None], seconds: float) -> None:
        """Waits until something happens, but no longer than that, and tells it.

        Raises:
            ExecutorError: workers cannot be had any more.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ExecutorError(RuntimeError):
    """Workers cannot be had, or not any more: one sentence for the user, and what to do."""


class UnsendableError(ValueError):
    """A setup cannot be sent to workers; the text says why, for whoever knows what is in it."""
