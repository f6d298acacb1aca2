"""Cache of tensors that modules compute from their parameters alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import torch
from torch import Tensor

from vqe_fast.ops._autocast import autocast_enabled
from vqe_fast.ops._autograd import is_transformed
from vqe_fast.ops._backend import kernel_problem

_held: ContextVar[list[Tensor] | None] = ContextVar("held", default=None)


@contextmanager
def holding() -> Iterator[list[Tensor]]:
    """Collects the kept tensors that are taken in this thread while it is open.

    A CUDA graph reads them at every replay: who captures one must hold them as long.
    """
    taken: list[Tensor] = []
    before = _held.set(taken)
    try:
        yield taken
    finally:
        _held.reset(before)


class Kept:
    """Cache of the last few tensors that a module computed from its parameters.

    A tensor is found again by a key and by the memory and the version of what it was made from: a
    step of training, a state dict or another dtype makes a new one. Changes that autograd does
    not see either, those through ``.data``, are not seen.

    Nothing is kept with gradients or tangents, under autocast, while a graph is traced, compiled or
    captured, in a process group, where FSDP gathers other parameters into the same memory unseen,
    nor of tensors without a version, those of inference mode, or without memory. Several threads
    may ask. Copies begin with nothing.

    Args:
        size: most tensors that are kept.
    """

    def __init__(self, size: int = 16) -> None:
        self._size = size
        self._entries: OrderedDict[Hashable, tuple[Tensor, int, list[Tensor]]] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Kept], tuple[int]]:
        """Of copies and pickles."""
        return Kept, (self._size,)

    def get(self, key: Hashable, sources: tuple[Tensor, ...], make: Callable[[], Tensor]) -> Tensor:
        """What ``make`` gives, maybe made earlier; not to be changed.

        Args:
            key: tells tensors of the same sources apart.
            sources: parameters and buffers, or kept tensors, that it is made from.
            make: makes it.
        """
        if torch.compiler.is_compiling() or torch.is_grad_enabled() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return make()
        device = sources[0].device
        if device.type == "meta" or autocast_enabled(device.type):
            return make()
        if is_transformed() or _in_process_group():
            return make()
        try:
            marks = tuple((each.data_ptr(), each._version, each.dtype) for each in sources)
        except RuntimeError:
            return make()
        # Another stream may not have made its tensor yet.
        stream = torch.cuda.current_stream(device) if device.type == "cuda" else None
        place = (key, marks, kernel_problem("modulation", device.type), stream)
        kept = self._find(place)
        if kept is None:
            if stream is not None and torch.cuda.is_current_stream_capturing():
                return make()
            with torch.inference_mode(False), torch.no_grad():  # for a version of its own
                kept = make()
            if type(kept) is not Tensor:  # it came of a mode that makes others
                return kept
            self._keep(place, kept, sources)
        held = _held.get()
        if held is not None:
            held.append(kept)
        return kept

    def _find(self, place: Hashable) -> Tensor | None:
        with self._lock:
            if place not in self._entries:
                return None
            self._entries.move_to_end(place)
            kept, version, _ = self._entries[place]
        return kept if kept._version == version else None

    def _keep(self, place: Hashable, kept: Tensor, sources: tuple[Tensor, ...]) -> None:
        # The memory of the sources is held, so that none of others can be taken for it.
        aliases = [each.detach() for each in sources]
        with self._lock:
            self._entries[place] = kept, kept._version, aliases
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)


def _in_process_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
