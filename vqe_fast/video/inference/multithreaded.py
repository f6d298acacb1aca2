"""Multithreaded inference on a CPU, for single-frame models: several frames at once."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Barrier, Lock

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.single_frame import SingleRunner
from vqe_fast.video.inference.tiling import Tiling
from vqe_fast.video.threads.channel import Cancelled
from vqe_fast.video.threads.timings import Clock


class ConcurrentRunner(Runner):
    """Runner of several frames at once on a CPU, each in a thread with its share of the cores.

    Cores that work on one frame together wait for each other after every layer, and all of them for
    the one that the decoder or the encoder takes meanwhile.

    Args:
        model: ready to run; each thread has a copy that shares its parameters.
        tiling: how frames are cut.
        at_once: frames.
    """

    def __init__(self, model: nn.Module, tiling: Tiling, at_once: int) -> None:
        self._at_once = at_once
        self._cancelled = False
        self._models = [_twin(model) for _ in range(at_once)]
        self._idle = [SingleRunner(each, tiling) for each in self._models]
        self._pool: ThreadPoolExecutor | None = None
        self._hooks: list[RemovableHandle] = []
        # Queues written in C: a signal that raises while one is waited for leaves no lock behind.
        self._pending: deque[SimpleQueue[Tensor | BaseException]] = deque()
        self._clock = Clock()

    @property
    def seconds(self) -> float:
        """Seconds during which at least one frame was under way."""
        return self._clock.seconds

    def push(self, frame: InputFrame) -> Iterator[Tensor]:
        """Takes a frame; gives the oldest once there are more than can be enhanced at once."""
        self._pool = self._pool or self._start()
        self._pending.append(SimpleQueue())
        self._pool.submit(self._enhance, frame, self._pending[-1])
        if len(self._pending) > self._at_once:
            yield self._oldest()

    def flush(self) -> Iterator[Tensor]:
        """Gives all frames that are left."""
        while self._pending:
            yield self._oldest()

    def close(self) -> None:
        """Shuts the threads down, after the layer that each is at."""
        self._cancelled = True
        if self._pool is not None:
            self._pool.shutdown()
        self._pool, self._cancelled = None, False
        self._pending.clear()
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _oldest(self) -> Tensor:
        result = self._pending.popleft().get()
        if isinstance(result, BaseException):
            raise result
        return result

    def _enhance(self, frame: InputFrame, reply: SimpleQueue[Tensor | BaseException]) -> None:
        runner = self._idle.pop()
        try:
            if self._cancelled:
                raise Cancelled
            with self._clock:
                (enhanced,) = runner.push(frame)
            reply.put(enhanced)
        except BaseException as error:  # for the thread that waits
            reply.put(error)
        self._idle.append(runner)

    def _start(self) -> ThreadPoolExecutor:
        """Threads, each with its number of cores, which is a thread's own setting."""

        def check(module: nn.Module, arguments: object) -> None:
            if self._cancelled:
                raise Cancelled

        layers = (layer for model in self._models for layer in model.modules())
        self._hooks = [
            layer.register_forward_pre_hook(check)
            for layer in layers
            if not isinstance(layer, torch.jit.ScriptModule)  # these have no hooks
        ]
        cores = torch.get_num_threads()
        pool = ThreadPoolExecutor(self._at_once, "vqe-fast enhance")
        started, setting = Barrier(self._at_once + 1), Lock()

        def start(share: int) -> None:
            with setting:
                torch.set_num_threads(share)
                torch.get_num_threads()  # from here on the thread keeps its number
            started.wait()

        # All the same: by how many threads a frame is enhanced changes its last bits, and which of
        # these takes it is chance.
        share = max(cores // self._at_once, 1)
        try:
            for _ in range(self._at_once):
                pool.submit(start, share)
            started.wait()
        except BaseException:  # a signal, or no thread can be started
            started.abort()
            pool.shutdown()
            raise
        finally:
            torch.set_num_threads(cores)  # of threads that are started later
        return pool


def _twin(model: nn.Module) -> nn.Module:
    """A copy with the same parameters, not copies of them."""
    return copy.deepcopy(model, {id(each): each for each in model.parameters()})
