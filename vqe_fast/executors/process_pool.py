"""``ProcessPool``: workers that are processes of this machine."""

from __future__ import annotations

import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Self

import torch

from vqe_fast.executors.executor import Chunk, Event, Lost, Progress, Setup, Task
from vqe_fast.executors.pickled import pickled
from vqe_fast.executors.worker import Worker, portable, worker_name

_END_SECONDS = 5.0


class ProcessPool:
    """An executor of processes, which are started when there is a task for them.

    Args:
        setup: makes the context of each; has to be one that can be pickled.
        devices: that of each worker's model.
        threads: of PyTorch in each.

    Raises:
        UnsendableError: the setup cannot be pickled.
    """

    def __init__(self, setup: Setup, devices: Sequence[str], threads: int) -> None:
        self._setup = pickled(setup, pickle.dumps)
        self._threads = threads
        self._devices = deque(devices)
        self._idle: list[_Process] = []
        self._busy: dict[Connection, _Process] = {}

    @property
    def free(self) -> int:
        """How many tasks more can be given now."""
        return len(self._idle) + len(self._devices)

    @property
    def workers(self) -> int:
        """How many there are, started or not."""
        return self.free + len(self._busy)

    def submit(self, key: int, task: Task) -> None:
        """Gives a task to a process that is idle, or to a new one."""
        if self._idle:
            process = self._idle.pop()
        else:
            process = _Process(self._setup, self._devices.popleft(), self._threads)
        self._busy[process.connection] = process
        process.give(key, task)

    def poll(self, handle: Callable[[Event], None], seconds: float) -> None:
        """Waits until a process tells something or dies, but no longer than that."""
        for connection in wait(list(self._busy), seconds):
            process = self._busy[connection]  # type: ignore[index]
            event = process.heard()
            if not isinstance(event, Progress | Chunk):
                del self._busy[process.connection]
                if isinstance(event, Lost):
                    process.end()
                    self._devices.append(process.device)
                else:
                    self._idle.append(process)
            handle(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._idle:
            process.dismiss()
        for process in self._busy.values():
            process.end()


class _Process:
    """A worker's process, seen from the one that started it."""

    def __init__(self, setup: bytes, device: str, threads: int) -> None:
        context = get_context("spawn")
        self.device = device
        self.connection, theirs = context.Pipe()
        self._key = -1
        self._process: SpawnProcess = context.Process(
            target=_work, args=(theirs, setup, device, threads), daemon=True
        )
        # Ctrl-C goes to all processes of a terminal, and so does the end of the terminal itself;
        # these leave it to the one that started them.
        # Python starts its tracker of resources with the first of them, and unblocks signals then.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def give(self, key: int, task: Task) -> None:
        """Sends a task."""
        self._key = key
        try:
            self.connection.send((key, task))
        except BrokenPipeError:
            return  # it has died, which is seen when it is listened to

    def heard(self) -> Event:
        """What it says next, or that it is dead."""
        try:
            event: Event = self.connection.recv()
            return event
        except (EOFError, ConnectionResetError):
            self._process.join(_END_SECONDS)
            code = self._process.exitcode or 0
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            return Lost(self._key, how, worker_name(self._process.pid))

    def dismiss(self) -> None:
        """Lets an idle process end by itself."""
        with suppress(BrokenPipeError):  # it has ended already
            self.connection.send(None)
        self._process.join(_END_SECONDS)
        self.end()

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.terminate()
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()


class _Sender:
    """A report that goes through a connection."""

    def __init__(self, key: int, connection: Connection) -> None:
        self._key, self._connection = key, connection

    def progress(self, done: int) -> None:
        self._connection.send(Progress(self._key, done))

    def chunk(self, data: bytes) -> None:
        self._connection.send(Chunk(self._key, data))


def _work(connection: Connection, setup: bytes, device: str, threads: int) -> None:
    """What a worker does."""
    try:
        torch.set_num_threads(threads)
        worker = Worker(pickle.loads(setup), device)
        while (order := connection.recv()) is not None:
            key, task = order
            connection.send(portable(worker.run(key, task, _Sender(key, connection))))
    except (EOFError, ConnectionError):
        sys.exit(1)  # whoever started this process is gone
