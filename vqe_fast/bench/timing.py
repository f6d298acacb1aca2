"""Timing of implementations in turns, so that all of them see the machine as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch

Step = Callable[[], object]

TURN = 0.05
"""Seconds that one implementation runs before it is the next one's turn, at least."""

CALLS = (8, 100)
"""Least and most calls in a turn; the first quarter of them is not counted: they may have to wait
for memory that others have given back to the system."""

LONG, VERY_LONG = 0.1, 1.0
"""Seconds from which on two calls in a turn are enough, or one, and all count."""

_TURNS = (3, 60)


def durations(
    steps: Mapping[str, Step], took: Mapping[str, float], device: str, budget: float
) -> dict[str, list[float]]:
    """Seconds of single calls of each step, in turns.

    Args:
        steps: name → what to time, warm already; on a CPU it must wait for its own result.
        took: name → seconds that the last call took.
        device: ``"cpu"`` for the processor's clock, ``"cuda"`` for events between the calls.
        budget: seconds that all the turns together may take, after the first three; 0 for a single
            call of each, which shows that it works and tells little.
    """
    if budget == 0:
        return {name: seconds_of(step, 1, device) for name, step in steps.items()}
    measured: dict[str, list[float]] = {name: [] for name in steps}
    calls = {name: _calls(step, took[name], device) for name, step in steps.items()}
    start = time.perf_counter()
    turns = 0
    while turns < _TURNS[0] or (time.perf_counter() - start < budget and turns < _TURNS[1]):
        for name, step in steps.items():
            measured[name] += seconds_of(step, calls[name], device)[calls[name] // 4 :]
        turns += 1
    return measured


def seconds_of(step: Step, calls: int, device: str) -> list[float]:
    """Seconds of each of some calls, one after the other."""
    if device == "cuda":
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(calls + 1)]
        marks[0].record()
        for mark in marks[1:]:
            step()
            mark.record()
        torch.cuda.synchronize()
        return [begin.elapsed_time(end) / 1e3 for begin, end in pairwise(marks)]
    times = [time.perf_counter()]
    for _ in range(calls):
        step()
        times.append(time.perf_counter())
    return [end - begin for begin, end in pairwise(times)]


def _calls(step: Step, took: float, device: str) -> int:
    """In a turn; of short calls, a few more tell how many."""
    if took > LONG:
        return 1 if took > VERY_LONG else 2
    shortest = max(min(took, *(seconds_of(step, 1, device)[0] for _ in range(3))), 1e-9)
    return min(max(int(TURN / shortest), CALLS[0]), CALLS[1])
