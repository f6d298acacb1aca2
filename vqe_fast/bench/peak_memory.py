"""Peak memory of a call."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

Step = Callable[[], object]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes(step: Step, device: str) -> int:
    """Peak memory of a call beyond what was held before it, in bytes.

    On a GPU that of PyTorch's allocator. On a CPU the larger of what PyTorch's allocator holds and
    what the process holds: the one does not see what kernels and other libraries take for
    themselves, the other not what is taken out of memory that the process has already.
    """
    allocated = allocated_bytes(step, device)
    return allocated if device == "cuda" else max(allocated, resident_bytes(step))


def allocated_bytes(step: Step, device: str) -> int:
    """Peak of PyTorch's allocator for the device, results included."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before: int = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        peak: int = torch.cuda.max_memory_allocated()
        return peak - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler reports each start on stderr
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    held = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def resident_bytes(step: Step) -> int:
    """Peak resident memory of the process, to a page; 0 where that is not Linux."""
    if sys.platform != "linux":
        step()
        return 0
    # Memory that was freed and not given back would not be seen when it is used again.
    ctypes.CDLL(None).malloc_trim(0)
    _CLEAR.write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    step()
    return max(_status("VmHWM") - before, 0)


def _status(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
