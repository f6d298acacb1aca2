"""Worker pool: segments enhanced by several processes at once."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch

from vqe_fast.video.errors import VideoError
from vqe_fast.video.inference.memory import is_out_of_memory
from vqe_fast.video.segments.enhance_segment import enhance_segment
from vqe_fast.video.segments.resume_state import Part
from vqe_fast.video.segments.split import Segment
from vqe_fast.video.session import EnhanceSession
from vqe_fast.weights import WeightsError

_ATTEMPTS = 2
_END_SECONDS = 5.0


@dataclass(frozen=True)
class Order:
    """A worker's order: a segment, and the file to write."""

    number: int
    segment: Segment
    path: Path


@dataclass(frozen=True)
class _Progress:
    frames: int


@dataclass(frozen=True)
class _Refusal:
    sentence: str


@dataclass(frozen=True)
class _Failure:
    trace: str


class _Worker:
    """A process, seen from the one that started it."""

    def __init__(self, session: bytes, threads: int) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.order: Order | None = None
        self.frames = 0
        self.process: SpawnProcess = context.Process(
            target=_work, args=(theirs, session, threads), daemon=True
        )
        # Ctrl-C goes to all processes of a terminal, and so does the end of the terminal itself;
        # these leave it to the one that started them.
        # Python starts its tracker of resources with the first of them, and unblocks signals then.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def give(self, order: Order | None) -> None:
        """Sends the next order, or None for the end."""
        self.order, self.frames = order, 0
        try:
            self.connection.send(order)
        except BrokenPipeError:
            return  # it has died, which is seen when it is listened to

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self.process.terminate()
        self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def enhance_together(
    session: EnhanceSession,
    workers: int,
    orders: Iterable[Order],
    on_frames: Callable[[int], None],
    on_part: Callable[[int, Part], None],
) -> None:
    """Enhances the segments of ``orders`` by a pool of worker processes.

    A segment whose process dies is begun once more by another.

    Args:
        session: what is to be done, with everything chosen.
        workers: how many processes; on GPUs each has one of its own.
        orders: the segments to enhance.
        on_frames: called with the number of frames enhanced so far in segments under way.
        on_part: called with the number of a segment and its part when that is finished.

    Raises:
        VideoError: a worker refuses the video, or dies twice over the same segment.
    """
    todo = deque(orders)
    threads = cores_of_each(workers)
    sessions = [
        _pickled(session.adjusted(device=name))
        for name in worker_devices(session.model.device, workers)
    ]
    attempts: Counter[int] = Counter()
    crew: dict[Connection, tuple[_Worker, bytes]] = {}

    def employ(pickled: bytes) -> None:
        worker = _Worker(pickled, threads)
        crew[worker.connection] = worker, pickled
        hand_out(worker)

    def hand_out(worker: _Worker) -> None:
        if todo:
            attempts[todo[0].number] += 1
            worker.give(todo.popleft())
        else:
            del crew[worker.connection]
            worker.give(None)
            worker.process.join(_END_SECONDS)
            worker.end()

    try:
        for pickled in sessions[: len(todo)]:
            employ(pickled)
        while crew:
            for connection in wait(list(crew)):
                worker, pickled = crew[connection]  # type: ignore[index]
                assert worker.order is not None
                message = _heard(worker)
                if isinstance(message, _Progress):
                    worker.frames = message.frames
                    on_frames(sum(each.frames for each, _ in crew.values()))
                elif isinstance(message, Part):
                    worker.frames = 0
                    on_part(worker.order.number, message)
                    hand_out(worker)
                elif isinstance(message, _Refusal):
                    raise VideoError(message.sentence)
                elif isinstance(message, _Failure):
                    raise RuntimeError(f"a worker failed:\n{message.trace}")
                else:
                    del crew[worker.connection]
                    worker.process.join(_END_SECONDS)
                    worker.end()
                    if attempts[worker.order.number] == _ATTEMPTS:
                        raise _dead(worker)
                    todo.appendleft(worker.order)
                    employ(pickled)
    finally:
        for worker, _ in crew.values():
            worker.end()


def cores_of_each(workers: int) -> int:
    """Processor cores for each worker."""
    return max(1, len(os.sched_getaffinity(0)) // workers)


def worker_devices(device: str, workers: int) -> list[str]:
    """The device of each worker: a GPU of its own, or the CPU.

    Raises:
        VideoError: there are fewer GPUs.
    """
    if workers == 1:
        return [device]
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device != "auto":
        place = torch.device(device)
    if place.type == "cpu":
        return ["cpu"] * workers
    there = 1 if place.index is not None else torch.cuda.device_count()
    if workers > there:
        raise VideoError(
            f"each worker gets a GPU of its own: {workers} were asked for, where {device} stands "
            f"for {there}; ask for fewer workers"
        )
    return [f"cuda:{index}" for index in range(workers)]


def _pickled(session: EnhanceSession) -> bytes:
    try:
        return pickle.dumps(session)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise VideoError(
            f"the model {type(session.model.model).__name__} cannot be sent to workers ({error}); "
            "give the name of a registered one, or enhance without workers"
        ) from error


def _heard(worker: _Worker) -> object:
    """What the worker says; None if it is dead."""
    try:
        return worker.connection.recv()
    except (EOFError, ConnectionResetError):
        return None


def _dead(worker: _Worker) -> VideoError:
    assert worker.order is not None
    code = worker.process.exitcode or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return VideoError(
        f"a worker {how} twice over segment {worker.order.number + 1}, as when memory runs out; "
        f"take fewer workers or less --max-memory, and go on with --resume"
    )


def _work(connection: Connection, pickled: bytes, threads: int) -> None:
    """What a worker does."""
    try:
        torch.set_num_threads(threads)
        session: EnhanceSession = pickle.loads(pickled)
        enhancer = session.make_enhancer()
        while (order := connection.recv()) is not None:
            part = enhance_segment(
                session,
                enhancer,
                order.segment,
                order.path,
                lambda frames: connection.send(_Progress(frames)),
            )
            connection.send(part)
    except (EOFError, ConnectionError):
        sys.exit(1)  # whoever started this process is gone
    except (VideoError, WeightsError) as error:
        connection.send(_Refusal(str(error)))
    except Exception as error:
        if is_out_of_memory(error):
            sys.exit(1)
        connection.send(_Failure(traceback.format_exc()))
