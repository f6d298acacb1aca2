"""``RayWorker``: the actor that runs tasks on a node of a Ray cluster, and tells their events."""

from __future__ import annotations

import pickle
import threading
import time
import traceback
from collections import deque
from queue import SimpleQueue

import torch

from vqe_fast._version import __version__
from vqe_fast.executors.executor import Chunk, Event, Failed, Finished, Lost, Progress, Refused
from vqe_fast.executors.worker import Worker, in_a_line, portable, worker_name

_CHUNKS = 2


class RayWorker:
    """Worker of which one call, :meth:`tell`, always waits; whoever waits for it sees it die.

    Runs in an actor of at least two threads, for :meth:`give` and :meth:`tell`. Tasks run in a
    thread of its own.

    Args:
        setup: a pickled :class:`~vqe_fast.executors.executor.Setup`.
        device: of the model.
        threads: of PyTorch.
        quiet: seconds from one progress to the next that is told.
    """

    def __init__(self, setup: bytes, device: str, threads: int, quiet: float) -> None:
        torch.set_num_threads(threads)
        self._worker = Worker(pickle.loads(setup), device)
        self._orders: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
        self._outbox = _Outbox(quiet)
        # A daemon, as a task that goes on must not keep the process of a driver that is gone.
        threading.Thread(target=self._work, daemon=True).start()

    def introduce(self) -> tuple[str, str]:
        """The name of this worker, ``HOST:PROCESS``, and its version of vqe_fast."""
        return worker_name(), __version__

    def give(self, key: int, task: bytes) -> None:
        """Takes a pickled task, which runs as soon as the one before has ended."""
        self._orders.put((key, task))

    def tell(self) -> Event:
        """Waits for the next event of the tasks that were given."""
        return self._outbox.next()

    def _work(self) -> None:
        while True:
            key, pickled = self._orders.get()
            try:
                task = pickle.loads(pickled)
            except Exception as error:  # its modules may differ from the driver's
                what, trace = in_a_line(error), traceback.format_exc()
                self._outbox.end(Failed(key, what, trace, worker_name()))
                continue
            self._outbox.begin(key)
            self._outbox.end(portable(self._worker.run(key, task, self._outbox)))


class _Outbox:
    """A report that keeps the last progress and few chunks, until they are asked for."""

    def __init__(self, quiet: float) -> None:
        self._changed = threading.Condition()
        self._key = -1
        self._chunks: deque[bytes] = deque()
        self._done: int | None = None
        self._end: Finished | Refused | Failed | Lost | None = None
        self._quiet = quiet
        self._told = -quiet

    def begin(self, key: int) -> None:
        """Says of which task the reports are that follow."""
        self._key = key

    def progress(self, done: int) -> None:
        with self._changed:
            self._done = done
            self._changed.notify_all()

    def chunk(self, data: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._chunks) < _CHUNKS)
            self._chunks.append(data)
            self._changed.notify_all()

    def end(self, event: Finished | Refused | Failed | Lost) -> None:
        """Adds the last event of a task."""
        with self._changed:
            self._done, self._end = None, event
            self._changed.notify_all()

    def next(self) -> Event:
        """Waits for what is to be told next: progress now and then, chunks before the end."""
        with self._changed:
            while True:
                quiet = self._told + self._quiet - time.monotonic()
                if self._done is not None and quiet <= 0:
                    done, self._done, self._told = self._done, None, time.monotonic()
                    return Progress(self._key, done)
                if self._chunks:
                    data = self._chunks.popleft()
                    self._changed.notify_all()
                    return Chunk(self._key, data)
                if self._end is not None:
                    end, self._end = self._end, None
                    return end
                self._changed.wait(quiet if self._done is not None else None)
