"""Rows of an evaluation, measured by the workers of an executor, unless they are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from vqe_fast._version import __version__
from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.journal import Journal
from vqe_fast.evaluation.restorer import Restorer, Tuned
from vqe_fast.evaluation.row import Row
from vqe_fast.evaluation.tasks import IdentifyTask, Identities, MeasureTask, Outcome
from vqe_fast.executors.executor import Executor, Failed, Finished, Lost, Task
from vqe_fast.executors.run_all import End, run_all
from vqe_fast.video.errors import WorkerError


@dataclass
class RowMeasurer:
    """Measurer of all rows; of what is measured it alone keeps the journal.

    Attributes:
        executor: whose workers measure.
        journal: of what is measured.
        cases: clips at their settings.
        restorers: names, and what has several strengths.
        progress: told how many rows and trials of how many are done.
        machines: names of those that measured.
        lost: how many workers died, or ran out of memory.
    """

    executor: Executor
    journal: Journal
    cases: Sequence[Case]
    restorers: Mapping[str, Restorer | Tuned]
    progress: Callable[[int, int], None] | None
    machines: set[str] = field(default_factory=set, init=False)
    lost: int = field(default=0, init=False)
    _done: int = field(default=0, init=False)

    def rows(self) -> list[Row]:
        """All rows, clip by clip, setting by setting.

        Raises:
            ExecutorError: there are no workers any more.
            WorkerError: a worker cannot measure at all.
        """
        self._identify()
        strengths = self._strengths()
        tasks = [
            MeasureTask(case, name, strengths.get((name, case.setting.name), 0))
            for case in self.cases
            for name in self.restorers
        ]
        return [_row(task, outcome) for task, outcome in zip(tasks, self._all(tasks), strict=True)]

    def described(self, name: str) -> Sequence[Outcome]:
        """Fingerprints of a restorer's strengths, or of its only one, for the first case."""
        return self._identities.restorers[0][name]

    @property
    def measures(self) -> Mapping[str, Any]:
        """Fingerprints of the measures that were asked for by name."""
        asked: Mapping[str, Any] = self._identities.measures["asked"]
        return asked

    def _identify(self) -> None:
        found: list[Identities] = []

        def ended(index: int, end: End, again: bool) -> None:
            if isinstance(end, Finished):
                found.append(end.result)
            elif not again:
                raise _unable(end)

        run_all(self.executor, [IdentifyTask(self.cases)], ended)
        self._identities = found[0]
        self.machines.add(found[0].machine)
        self._restorers_of = {
            (case.clip, case.setting.name): identities
            for case, identities in zip(self.cases, found[0].restorers, strict=True)
        }

    def _strengths(self) -> dict[tuple[str, str], int]:
        """Name and setting → number of the strength with the greatest PSNR.

        That is the mean over the clips on which none failed.
        """
        trials = [
            MeasureTask(case, name, strength, is_trial=True)
            for case in self.cases
            for name, restorer in self.restorers.items()
            if isinstance(restorer, Tuned)
            for strength in range(len(restorer.strengths))
        ]
        self._total = len(trials) + len(self.cases) * len(self.restorers)
        found: dict[tuple[str, str], dict[str, list[float | None]]] = {}
        for trial, outcome in zip(trials, self._all(trials), strict=True):
            of_clips = found.setdefault((trial.restorer, trial.case.setting.name), {})
            of_clips.setdefault(trial.case.clip, []).append(outcome.value)
        return {key: _best(list(of_clips.values())) for key, of_clips in found.items()}

    def _all(self, tasks: Sequence[MeasureTask]) -> list[Outcome]:
        """Outcomes of tasks; of those with the same key only one is done."""
        outcomes: dict[int, Outcome] = {}
        first_of: dict[str, int] = {}
        same: dict[int, list[int]] = {}
        for index, task in enumerate(tasks):
            key = self._key(task)
            known = Outcome(error=key) if isinstance(key, str) else self._known(key)
            if known is not None:
                self._end(outcomes, [index], known)
            else:
                first = first_of.setdefault(str(key), index)
                same.setdefault(first, []).append(index)
        asked = list(same)

        def ended(number: int, end: End, again: bool) -> None:
            self.lost += isinstance(end, Lost)
            if again:
                return
            outcome = self._outcome(tasks[asked[number]], end)
            self._end(outcomes, same[asked[number]], outcome)

        to_do: list[Task] = [tasks[index] for index in asked]
        run_all(self.executor, to_do, ended)
        return [outcomes[index] for index in range(len(tasks))]

    def _outcome(self, task: MeasureTask, end: End) -> Outcome:
        """The outcome of a task that is over; it is in the journal unless it is an error."""
        if isinstance(end, Lost):
            return Outcome(error=f"the worker {end.worker} {end.how}, as one had before it")
        if not isinstance(end, Finished):
            raise _unable(end)
        outcome: Outcome = end.result
        if outcome.error:
            return outcome
        if not task.is_trial:
            outcome.value["workers"] = self.executor.workers
        self.machines.add(outcome.machine)
        key = self._key(task)
        assert not isinstance(key, str)
        self.journal.put(key, outcome.value)
        return outcome

    def _known(self, key: Mapping[str, Any]) -> Outcome | None:
        value = self.journal.get(key)
        return None if value is None else Outcome(value)

    def _end(self, outcomes: dict[int, Outcome], indices: Sequence[int], outcome: Outcome) -> None:
        for index in indices:
            outcomes[index] = outcome
            self._done += 1
            if self.progress is not None:
                self.progress(self._done, self._total)

    def _key(self, task: MeasureTask) -> dict[str, Any] | str:
        """All that an outcome depends on; the sentence of an error if that is not known."""
        case = task.case
        identity = self._restorers_of[case.clip, case.setting.name][task.restorer][task.strength]
        if identity.error:
            return identity.error
        last: dict[str, Any] = (
            {"trial": True} if task.is_trial else {"measures": self._identities.measures}
        )
        if case.setting.is_given:  # sizes and formats of raw frames are in names, not in content
            last["given"] = [*case.size, case.pixel_format, case.path.suffix.lower()]
        return {
            "vqe_fast": __version__,
            "original": case.original.sha256,
            "taken": [case.frames, case.first, case.step],
            "stream": case.stream.sha256,
            "color": [case.color.matrix, case.color.full_range],
            "restorer": identity.value,
        } | last


def _row(task: MeasureTask, outcome: Outcome) -> Row:
    case = task.case
    row = Row(case.clip, case.setting.name, task.restorer, case.count, case.bitrate)
    if outcome.error:
        return replace(row, error=outcome.error)
    return replace(row, **outcome.value)


def _best(found: Sequence[Sequence[float | None]]) -> int:
    """The column with the greatest mean over the rows that are whole; the first if none is."""
    whole = [[value for value in values if value is not None] for values in found]
    whole = [kept for kept, values in zip(whole, found, strict=True) if len(kept) == len(values)]
    means = [fmean(column) for column in zip(*whole, strict=True)]
    return means.index(max(means)) if means else 0


def _unable(end: End) -> Exception:
    """The error for a worker that cannot measure at all."""
    if isinstance(end, Failed):
        return end.error or WorkerError(f"the worker {end.worker} failed: {end.what}", end.trace)
    if isinstance(end, Lost):
        return WorkerError(f"the worker {end.worker} {end.how}, as one had before it")
    assert not isinstance(end, Finished)
    return WorkerError(f"the worker {end.worker} cannot measure: {end.error}")
