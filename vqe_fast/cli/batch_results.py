"""Results of an enhancement of several files: exit code, row of the table and report of each."""

from __future__ import annotations

from dataclasses import dataclass

from vqe_fast.cli.batch_table import Row
from vqe_fast.cli.enhance_file import code_of_report, remarks
from vqe_fast.cli.exit_codes import ExitCode, code_of
from vqe_fast.storage.location import Location
from vqe_fast.video.events import FileDone, FileFailed, FileRefused, FileSkipped, RunEvent


@dataclass(frozen=True)
class Result:
    """What became of a file."""

    code: ExitCode
    row: Row
    report: dict[str, object]


def result_of(event: RunEvent, wanted: Location | None) -> Result | None:
    """The result that an event tells; None if it is none about a whole file.

    Args:
        event: of the run.
        wanted: the output that was asked for, which may have got another container.
    """
    if isinstance(event, FileDone):
        return _done(event, wanted)
    if isinstance(event, FileSkipped):
        about = {"source": event.source, "target": event.target, "was_there": event.was_there}
        if event.was_there:
            return Result(ExitCode.DONE, Row(event.source, "was there"), about)
        row = Row(event.source, "skipped", notes=(event.why,))
        return Result(ExitCode.DONE, row, about | {"skipped": event.why})
    if isinstance(event, FileRefused):
        return _not_done(event, "refused", code_of(event.error))
    if isinstance(event, FileFailed):
        return _not_done(event, "failed", ExitCode.WORKERS_FAILED)
    return None


def _not_done(event: FileRefused | FileFailed, word: str, code: ExitCode) -> Result:
    sentence = str(event.error)
    about: dict[str, object] = {"source": event.source, "target": event.target, "error": sentence}
    return Result(code, Row(event.source, word, notes=(sentence,)), about)


def _done(event: FileDone, wanted: Location | None) -> Result:
    report = event.report
    word = "damaged" if report.is_damaged else "done"
    notes = remarks(report)
    if wanted is not None and report.target != str(wanted) and wanted.suffix not in report.target:
        notes.append(
            f"{wanted.suffix} cannot hold all of {event.source}: written to {report.target}"
        )
    if event.workers_lost:
        lost = "a worker was" if event.workers_lost == 1 else f"{event.workers_lost} workers were"
        notes.append(f"{lost} lost over it, and what was begun was done again")
    row = Row(event.source, word, report.frames_out, report.fps, tuple(notes))
    return Result(code_of_report(report), row, report.to_dict())
