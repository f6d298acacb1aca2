"""Measurement of a benchmark case: correctness, then times, then memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from vqe_fast._memory import available_memory, in_words
from vqe_fast.bench.case import TOLERANCES, Candidate, NotDone, Work
from vqe_fast.bench.peak_memory import peak_bytes, resident_bytes
from vqe_fast.bench.record import FAILED, WRONG, Row, timed, with_ratios
from vqe_fast.bench.rotation import bytes_in, in_turn, rotation
from vqe_fast.bench.timing import LONG, Step, durations, seconds_of

ONCE = 4.0
"""Seconds from which on a single call is measured, after a first one."""


@dataclass(frozen=True)
class Measured:
    """A row and the seconds of each call behind it; none where the row says why."""

    row: Row
    seconds: tuple[float, ...] = ()


def measure(work: Work, budget: float, *, rotate: bool = True) -> list[Measured]:
    """Times every candidate whose result is right, side by side.

    A candidate that cannot be measured, whatever it raises, gets a row that says why. One whose
    result is wrong gets no time, whoever made it.

    Args:
        work: what to do, and the candidates.
        budget: seconds for all turns together; 0 for a single call of each.
        rotate: whether to take as many inputs in turn as the cache does not hold.
    """
    least_bytes: int | None = None
    first = work.sample(0)
    samples = rotation(work.sample, first, work.device) if rotate else [first]
    rows: dict[str, Row] = {}
    steps: dict[str, Step] = {}
    took: dict[str, float] = {}
    seconds: dict[str, tuple[float, ...]] = {}
    for candidate in work.candidates:
        row = work.row(candidate)
        made = _made(candidate, work)
        if isinstance(made, str):
            rows[candidate.name] = replace(row, status=made)
            continue
        if candidate.warp_error is not None:
            row = replace(row, warp_error=candidate.warp_error(made))
        step = in_turn([candidate.prepare(each) for each in samples], made)
        try:
            peak, took[candidate.name], moved = _first_call(step, work.device, bytes_in(first))
        except Exception as error:
            rows[candidate.name] = replace(row, status=_refusal(candidate, error))
            continue
        if candidate.role == "own":
            least_bytes = moved
        if took[candidate.name] >= ONCE:  # again: it may have been compiled in the first call
            took[candidate.name] = seconds_of(step, 1, work.device)[0]
        if took[candidate.name] >= ONCE:
            seconds[candidate.name] = (took[candidate.name],)
        else:
            steps[candidate.name] = step
        rows[candidate.name] = replace(row, peak_bytes=peak)
    timings = durations(steps, took, work.device, budget)
    seconds |= {name: tuple(times) for name, times in timings.items()}
    for name, step in steps.items():
        if took[name] < LONG:
            rows[name] = replace(rows[name], peak_bytes=peak_bytes(step, work.device))
    for name, times in seconds.items():
        rows[name] = timed(rows[name], times)
    if work.counts_bytes:
        rows = {name: replace(row, work_bytes=least_bytes) for name, row in rows.items()}
    order = [rows[candidate.name] for candidate in work.candidates]
    return [Measured(row, seconds.get(row.implementation, ())) for row in with_ratios(order)]


def left_out(work: Work, reason: str) -> list[Measured]:
    """Rows without times."""
    return [Measured(replace(work.row(each), status=reason)) for each in work.candidates]


def _made(candidate: Candidate, work: Work) -> Callable[[Any], Any] | str:
    """What runs the candidate, its result being right; else why there is no time."""
    if candidate.problem is not None:
        return candidate.problem
    free = available_memory(torch.device(work.device))
    if candidate.least_memory > free:
        return f"needs {in_words(candidate.least_memory)}, {in_words(free)} are free"
    try:
        made = candidate.make()
        error = candidate.error(made)
    except Exception as problem:
        return _refusal(candidate, problem)
    allowed = candidate.tolerance or TOLERANCES[candidate.dtype or work.dtype]
    if not error <= allowed:
        return f"{WRONG}: relative error {error:.1e}, at most {allowed:.0e} is allowed"
    return made


def _refusal(candidate: Candidate, error: Exception) -> str:
    said = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    own_mistake = candidate.role == "own" and not isinstance(error, NotDone)
    return f"{FAILED}: {said}" if own_mistake else said


def _first_call(step: Step, device: str, inputs: int) -> tuple[int, float, int]:
    """Peak, seconds, and bytes of inputs and results, of the first call at full size."""
    results: list[object] = []
    took: list[float] = []

    def call() -> None:
        took.extend(seconds_of(lambda: results.append(step()), 1, device))

    peak = resident_bytes(call) if device == "cpu" else peak_bytes(call, device)
    return peak, took[0], inputs + bytes_in(results)
