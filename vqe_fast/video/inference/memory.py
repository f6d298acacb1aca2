"""Memory: limits, peak use, and recovery from running out of it."""

from __future__ import annotations

import re
import resource
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vqe_fast.video.errors import VideoError

T = TypeVar("T")

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def parse_bytes(amount: int | str, what: str = "an amount of memory") -> int:
    """Parses a number of bytes: ``"2GiB"``, ``"2GB"``, ``"800M"`` or a number of bytes.

    Args:
        amount: what a user gave.
        what: what that is, for messages.

    Raises:
        VideoError: it is none of these, or zero.
    """
    match = _AMOUNT.fullmatch(str(amount))
    base = 1024 if match and match[3] else 1000
    found = int(float(match[1]) * base ** _UNITS[match[2].lower()]) if match else 0
    if found < 1:
        raise VideoError(f"{what} looks like 2GiB or 800MB, got {amount!r}")
    return found


def reset_peak(device: torch.device) -> None:
    """Resets the peak that :func:`peak_memory` tells, where that is possible."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: of tensors on a GPU, else of this process since its start."""
    if device.type == "cuda":
        peak: int = torch.cuda.max_memory_allocated(device)
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_taken(run: Callable[[], object], device: torch.device) -> int:
    """Peak bytes of tensors on ``device`` while ``run`` runs.

    What a kernel takes for itself counts on a GPU only.
    """
    if device.type == "cuda":
        before: int = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        peak: int = torch.cuda.max_memory_allocated(device)
        return peak - before
    ledger = _Ledger()
    with ledger:
        run()
    return ledger.peak


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory has run out, on a GPU or in this process."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate" in str(error)


def run_if_memory_allows(run: Callable[[], T], device: torch.device) -> tuple[T] | None:
    """The result of ``run`` in a tuple; None if memory on ``device`` ran out, and is free again."""
    try:
        return (run(),)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Not while the error is handled: its traceback holds on to all tensors.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None


class _Ledger(TorchDispatchMode):
    """Adds up the storages of the tensors that operators return, as long as one refers to them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._references: Counter[int] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._enter(leaf)
        return result

    def _enter(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        if self._references[address] == 0:
            self._now += size
            self.peak = max(self.peak, self._now)
        self._references[address] += 1
        weakref.finalize(tensor, self._leave, address, size)

    def _leave(self, address: int, size: int) -> None:
        self._references[address] -= 1
        if self._references[address] == 0:
            self._now -= size
