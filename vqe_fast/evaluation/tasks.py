"""Tasks of workers that measure: identities of restorers, and a row or a trial each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.measuring import luma_psnr
from vqe_fast.evaluation.restorer import Restorer, Tuned, Work
from vqe_fast.evaluation.store import FrameStore
from vqe_fast.evaluation.worker_setup import Workplace
from vqe_fast.executors.executor import Report


@dataclass(frozen=True)
class Outcome:
    """What became of a row, a trial or an identity.

    Attributes:
        value: as JSON has it; None if there is an error.
        error: one sentence; empty if there is none.
        machine: name of that which it was measured on.
    """

    value: Any = None
    error: str = ""
    machine: str = ""


@dataclass(frozen=True)
class Identities:
    """Fingerprints of all that decides about figures, as one worker found them.

    Attributes:
        restorers: for each case, name → fingerprint of each strength, or of the only one.
        measures: that of the measures.
        machine: name of the worker's.
    """

    restorers: Sequence[Mapping[str, Sequence[Outcome]]]
    measures: Mapping[str, Any]
    machine: str


@dataclass(frozen=True)
class IdentifyTask:
    """Task that finds fingerprints where restorers run: device and programs are those there.

    Attributes:
        cases: all that are measured.
    """

    cases: Sequence[Case]

    def run(self, context: Workplace, report: Report) -> Identities:
        """Asks each restorer."""
        return Identities(
            [
                {
                    name: [_identity(each, case) for each in _strengths(restorer)]
                    for name, restorer in context.restorers.items()
                }
                for case in self.cases
            ],
            context.measures.identity(),
            context.machine,
        )


@dataclass(frozen=True)
class MeasureTask:
    """Task that restores a case, and measures it.

    Attributes:
        case: the clip at a setting.
        restorer: its name.
        strength: number of it, of a restorer that has several.
        is_trial: whether the PSNR of luma is all that is wanted.
    """

    case: Case
    restorer: str
    strength: int = 0
    is_trial: bool = False

    def run(self, context: Workplace, report: Report) -> Outcome:
        """Restores and measures; whatever a restorer raises is the outcome.

        Raises:
            ValueError: this machine does not see the compressed clip.
        """
        _require_files(self.case)
        try:
            value = self._measured(context)
        except Exception as error:  # a model of anyone's: whatever it raises costs this row only
            return Outcome(error=sentence(error), machine=context.machine)
        return Outcome(value, machine=context.machine)

    def _measured(self, context: Workplace) -> float | dict[str, Any]:
        case, measures = self.case, context.measures
        restorer = context.restorer(self.restorer, self.strength)
        with FrameStore(measures.folder, case.size, case.color, case.pixel_format) as frames:
            work = _restore(restorer, case, frames)
            if self.is_trial:
                return luma_psnr(case, frames)
            measured = measures.of(case, frames)
        return {
            "figures": dict(measured.figures),
            "frames": dict(measured.frames),
            "fps": case.count / work.seconds if work.seconds else None,
            "timed": restorer.timed,
            "note": work.note,
            "matches": None if measured.matches is None else measured.matches.to_dict(),
        }


def sentence(error: Exception) -> str:
    """The first line of an error, with its kind unless the text is meant for people."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else "no reason given"
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"


def _strengths(restorer: Restorer | Tuned) -> Sequence[Restorer]:
    return restorer.strengths if isinstance(restorer, Tuned) else [restorer]


def _identity(restorer: Restorer, case: Case) -> Outcome:
    try:
        return Outcome(dict(restorer.identity(case)))
    except Exception as error:  # as of the row
        return Outcome(error=sentence(error))


def _restore(restorer: Restorer, case: Case, frames: FrameStore) -> Work:
    work = restorer.restore(case, frames)
    if len(frames) != case.count:
        raise ValueError(f"it gave {len(frames)} frames for {case.count}: give one for each")
    return work


def _require_files(case: Case) -> None:
    for media in (case.stream, case.original):
        if not media.is_there():
            means = (
                "as it was: give a path that all nodes share"
                if case.setting.is_given
                else "as it was encoded: give a folder for the compressed clips (--cache) that "
                "all nodes share"
            )
            raise ValueError(f"it does not see {media.path} {means}")
