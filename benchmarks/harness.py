"""What the suites share: cases as parameters, one measurement for all rows of a case, the report.

A suite is a file ``bench_<operator>.py`` with a function ``plan(device, tiny)`` that lists its
cases, and one test that hands each case and implementation to the fixture ``report``.
"""

import gc
import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from vqe_fast.bench.case import Candidate, Work
from vqe_fast.bench.measure import Measured, left_out, measure
from vqe_fast.bench.record import MEASURED, NOT_INSTALLED, Row

Described = tuple[Any, ...]

FP32, BF16 = torch.float32, torch.bfloat16
NO_TIME = "left out: the time for this run was over"


@dataclass(frozen=True)
class Case:
    """A piece of work to be measured.

    Attributes:
        title: of it, unique within the suite.
        names: the candidates of the work.
        work: builds it.
        budget: seconds for the turns of all candidates together.
        rotate: whether inputs rotate; not for models, whose frames are what varies least.
    """

    title: str
    names: Sequence[str]
    work: Callable[[], Work]
    budget: float
    rotate: bool = True

    def __str__(self) -> str:
        return self.title


def cases(
    planned: Mapping[str, Sequence[Described]], device: str, tiny: tuple[int, ...] | Literal[False]
) -> list[Described]:
    """Descriptions of the cases of a device, each a tuple that begins with the shape.

    With a ``tiny`` shape in place of theirs, those of all devices, to check that each works.
    """
    if not tiny:
        return list(planned[device])
    return list(dict.fromkeys((tiny, *case[1:]) for of in planned.values() for case in of))


def missing(module: str) -> str | None:
    """Why an alternative cannot be measured; nothing if it is there."""
    return None if importlib.util.find_spec(module) else NOT_INSTALLED


class Session:
    """Measures each case once, when its first row is asked for, and keeps a journal of rows.

    Args:
        journal: file that every row is appended to, one line of JSON each; None for none.
        seconds: after which no new case is begun; None for no limit.
        tiny: whether a single call of each candidate is enough.
        own: whether to measure this package alone.
        only: names of the candidates to measure; empty for all.
    """

    def __init__(
        self,
        journal: Path | None,
        seconds: float | None,
        tiny: bool,
        own: bool,
        only: Sequence[str] = (),
    ) -> None:
        self._journal = journal
        self._end = None if seconds is None else time.monotonic() + seconds
        self._tiny = tiny
        self._own = own
        self._only = only
        self._known: dict[str, dict[str, Measured]] = {}

    def measured(self, case: Case, suite: str) -> dict[str, Measured]:
        """Name → row and times of all candidates of a case."""
        key = f"{suite} {case.title}"
        if key not in self._known:
            self._known[key] = {each.row.implementation: each for each in self._measure(case)}
            self._write([each.row for each in self._known[key].values()])
        return self._known[key]

    def _measure(self, case: Case) -> list[Measured]:
        if not self._tiny:
            torch.compiler.reset()
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        work, budget = case.work(), 0.0 if self._tiny else case.budget
        asked = [candidate for candidate in work.candidates if self._is_asked_for(candidate)]
        budget *= len(asked) / len(work.candidates)
        work = replace(work, candidates=asked)
        if self._end is not None and time.monotonic() > self._end:
            return left_out(work, NO_TIME)
        return measure(work, budget, rotate=case.rotate and not self._tiny)

    def _is_asked_for(self, candidate: Candidate) -> bool:
        if self._own and candidate.role != "own":
            return False
        return not self._only or candidate.name in self._only

    def _write(self, rows: Sequence[Row]) -> None:
        if self._journal is None:
            return
        with self._journal.open("a", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row.to_dict()) + "\n")


def report(session: Session, benchmark: object, case: Case, name: str, suite: str) -> None:
    """Hands the times of one candidate to pytest-benchmark; skips what has none."""
    found = session.measured(case, suite).get(name)
    if found is None:
        pytest.skip("not asked for")
    row = found.row
    if row.is_red:
        pytest.fail(f"{name}: {row.status}", pytrace=False)
    if row.status != MEASURED:
        pytest.skip(f"{name}: {row.status}")
    benchmark.group = f"{row.operator} {case.title}"  # type: ignore[attr-defined]
    benchmark.extra_info.update(row.to_dict())  # type: ignore[attr-defined]
    REPLAY.hand_over(benchmark, found.seconds)


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

    def hand_over(self, benchmark: object, measured: Sequence[float]) -> None:
        """Makes ``measured`` the rounds of a benchmark whose timer this is."""
        self._left, self._running = list(measured), False
        benchmark.pedantic(lambda: None, rounds=len(measured))  # type: ignore[attr-defined]


REPLAY = Replay()
"""The timer of every benchmark here: ``pytestmark = replayed``."""

replayed = pytest.mark.benchmark(timer=REPLAY)
