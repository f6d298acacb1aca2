"""Times implementations of one thing in turn, so that all of them see the machine as it is."""

from __future__ import annotations

import ctypes
import importlib.util
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
import torch

Step = Callable[[], object]

TURN = 0.05
"""Seconds that one implementation runs before it is the next one's turn, at least."""

CALLS = (8, 100)
"""Least and most calls in a turn; the first quarter of them is not counted: they may have to wait
for memory that others have given back to the system."""

LONG = 0.1
"""Seconds from which on two calls in a turn are enough, and both count."""


def installed(module: str) -> bool:
    """Whether an alternative is there to be measured."""
    return importlib.util.find_spec(module) is not None


def durations(steps: Mapping[str, Step], budget: float = 20.0) -> dict[str, list[float]]:
    """Seconds of single calls of each step, in turns.

    Args:
        steps: name → what to time; it must wait for its own result.
        budget: seconds that all the turns together may take, after the first three.
    """
    measured: dict[str, list[float]] = {name: [] for name in steps}
    calls = {}
    for name, step in steps.items():
        elapsed = _shortest(step)
        calls[name] = 2 if elapsed > LONG else min(max(int(TURN / elapsed), CALLS[0]), CALLS[1])
    start = time.perf_counter()
    turns = 0
    while turns < 3 or (time.perf_counter() - start < budget and turns < 60):
        for name, step in steps.items():
            times = [time.perf_counter()]
            for _ in range(calls[name]):
                step()
                times.append(time.perf_counter())
            measured[name] += [end - begin for begin, end in pairwise(times)][calls[name] // 4 :]
        turns += 1
    return measured


def _shortest(step: Step) -> float:
    """Seconds of the shortest of a few calls after the first, of one if it takes a second."""
    step()
    start = time.perf_counter()
    times = [start]
    while len(times) < 5 and times[-1] - start < 1:
        step()
        times.append(time.perf_counter())
    return max(min(end - begin for begin, end in pairwise(times)), 1e-9)


def peak_bytes(step: Step, device: str) -> int:
    """The most memory that PyTorch's allocator holds during a call beyond what it held before."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        step()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def peak_resident_bytes(step: Step) -> int:
    """The most memory of the CPU that the process holds during a call beyond what it held before.

    Unlike :func:`peak_bytes` it sees what kernels allocate for themselves. Linux only.
    """

    def status(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))

    # Memory that was freed and not given back would not be seen when it is used again.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    step()
    return status("VmHWM") - before


class Replay:
    """A timer that tells pytest-benchmark what was measured elsewhere."""

    def __init__(self) -> None:
        self._now = 0.0
        self._left: list[float] = []
        self._running = False

    def __call__(self) -> float:
        """The time; every second call is later than the one before by what was measured."""
        if self._running:
            self._now += self._left.pop(0)
        self._running = not self._running
        return self._now

    def hand_over(self, benchmark: object, measured: list[float]) -> None:
        """Makes ``measured`` the rounds of a benchmark whose timer this is."""
        self._left, self._running = list(measured), False
        benchmark.pedantic(lambda: None, rounds=len(measured))  # type: ignore[attr-defined]


REPLAY = Replay()
"""The timer of every benchmark here: ``pytestmark = replayed``."""

replayed = pytest.mark.benchmark(timer=REPLAY)
