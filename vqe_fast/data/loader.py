"""Data loader: batches made by threads, ahead of the training steps that use them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from vqe_fast.data.windows import Batch, WindowSampler


class Loader:
    """Data loader of a range of steps, in order, with threads that make the next batches.

    Threads rather than processes: a batch needs no copy from one memory to another, and NumPy
    lets go of Python's lock while it copies. Use it as a context manager, or call :meth:`close`.

    Args:
        sampler: draws the batches.
        seed: of the run.
        start: the first step.
        stop: the step after the last.
        workers: threads.
        ahead: batches that are made or waiting at a time.
        rank: number of this process, of ``world``.
        world: processes that share each batch.
        pin_memory: whether the tensors lie where a GPU can fetch them while it computes.

    Attributes:
        delivered: batches handed out so far.
        waited: seconds that the consumer waited for them: near 0 where loading keeps up.
    """

    def __init__(
        self,
        sampler: WindowSampler,
        seed: int,
        start: int,
        stop: int,
        *,
        workers: int = 1,
        ahead: int = 4,
        rank: int = 0,
        world: int = 1,
        pin_memory: bool = False,
    ) -> None:
        if min(workers, ahead) < 1:
            raise ValueError(f"workers and ahead must be at least 1, got {workers} and {ahead}")
        self.delivered = 0
        self.waited = 0.0
        self._sampler, self._seed = sampler, seed
        self._rank, self._world, self._pin_memory = rank, world, pin_memory
        self._steps = iter(range(start, stop))
        # Queues in C: an interrupt in the consumer's thread cannot leave a lock behind.
        self._todo: SimpleQueue[_Request | None] = SimpleQueue()
        self._pending: deque[_Request] = deque()
        for _ in range(ahead):
            self._request()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        """The batches; an error in making one is raised in its place.

        Raises:
            ValueError: as :meth:`vqe_fast.data.windows.WindowSampler.draw`.
        """
        while self._pending:
            since = time.perf_counter()
            made = self._pending.popleft().answer.get()
            self.waited += time.perf_counter() - since
            if isinstance(made, BaseException):
                raise made
            self.delivered += 1
            self._request()
            yield made

    def close(self) -> None:
        """Stops making batches; those not handed out yet are lost."""
        while self._pending:
            self._pending.popleft().wanted = False
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _request(self) -> None:
        step = next(self._steps, None)
        if step is not None:
            request = _Request(step)
            self._pending.append(request)
            self._todo.put(request)

    def _work(self) -> None:
        while (request := self._todo.get()) is not None:
            if request.wanted:
                request.answer.put(self._make(request.step))

    def _make(self, step: int) -> Batch | BaseException:
        try:
            batch = self._sampler.draw(step, self._seed, rank=self._rank, world=self._world)
            if not self._pin_memory:
                return batch
            return Batch(*(getattr(batch, each.name).pin_memory() for each in fields(Batch)))
        except BaseException as error:  # belongs to the consumer
            return error


@dataclass
class _Request:
    """A batch that is being made; ``wanted`` until the loader is closed."""

    step: int
    wanted: bool = True
    answer: SimpleQueue[Batch | BaseException] = field(default_factory=SimpleQueue)
