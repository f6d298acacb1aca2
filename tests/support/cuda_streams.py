"""CUDA streams imitated on a CPU, as lazy as the rules of CUDA allow."""

from collections.abc import Callable
from contextlib import contextmanager

import torch

_COPY = torch.Tensor.copy_


class Stream:
    """Work that is done only when something that depends on it is waited for.

    Args:
        eager: do what is waited for at once: for a stream whose work is not imitated.
    """

    def __init__(self, eager=False):
        self.work: list[Callable[[], object]] = []
        self.done = 0
        self._eager = eager

    def add(self, work):
        self.work.append(work)
        if self._eager:
            self.run(len(self.work))

    def run(self, count):
        """Does the first ``count`` pieces of work, as far as they are not done."""
        while self.done < count:
            self.done += 1
            self.work[self.done - 1]()

    def wait_stream(self, other):
        count = len(other.work)
        self.add(lambda: other.run(count))


class Event:
    """A place in the work of a stream."""

    def __init__(self, blocking=False):
        self.blocking = blocking

    def record(self, stream):
        self._stream, self._count = stream, len(stream.work)

    def synchronize(self):
        self._stream.run(self._count)


class Streams:
    """What stands for ``torch.cuda``.

    Attributes:
        model: the stream that a model works on.
        users: address of a tensor → streams it was said to be used on.
    """

    Event = Event

    def __init__(self, *, eager_model):
        self.model = Stream(eager_model)
        self.users = {}
        self._current = self.model

    def Stream(self, device):
        return Stream()

    def current_stream(self, device):
        return self._current

    @contextmanager
    def stream(self, stream):
        before, self._current = self._current, stream
        yield
        self._current = before

    def copy_(self, target, source, non_blocking=False):
        """Stands for ``Tensor.copy_``."""
        if not non_blocking:
            return _COPY(target, source)

        @torch.inference_mode()
        def copy():
            _COPY(target, source)

        self._current.add(copy)
        return target

    def record_stream(self, tensor, stream):
        """Stands for ``Tensor.record_stream``."""
        self.users.setdefault(tensor.data_ptr(), []).append(stream)


def imitate(monkeypatch, module, *, eager_model):
    """Puts imitated streams in the place of those of ``module``, and returns them."""
    streams = Streams(eager_model=eager_model)
    monkeypatch.setattr(module, "cuda", streams)
    monkeypatch.setattr(module, "_locked", lambda like: torch.zeros_like(like))
    for name in ("copy_", "record_stream"):
        method = getattr(streams, name)
        monkeypatch.setattr(torch.Tensor, name, lambda *args, _do=method, **kw: _do(*args, **kw))
    return streams
