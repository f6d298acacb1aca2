"""Results of an enhancement of several files: exit code, row of the table and report of each."""

from __future__ import annotations

from dataclasses import dataclass

from vqe_fast.cli.batch_table import Row
from vqe_fast.cli.exit_codes import ExitCode, code_of
from vqe_fast.cli.remarks import code_of_report, remarks
from vqe_fast.executors.worker import in_a_line
from vqe_fast.storage.location import Location
from vqe_fast.video.errors import VideoError
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
        about: dict[str, object] = {"source": event.source, "target": event.target}
        about["was_there"] = event.was_there
        about["skipped"] = event.why
        if event.was_there:
            return Result(ExitCode.DONE, Row(event.source, event.why), about)
        return Result(ExitCode.DONE, Row(event.source, "skipped", notes=(event.why,)), about)
    if isinstance(event, FileRefused):
        sentence = str(event.error)
        about = {"source": event.source, "target": event.target, "error": sentence}
        return Result(code_of(event.error), Row(event.source, "refused", notes=(sentence,)), about)
    if isinstance(event, FileFailed):
        return _failed(event)
    return None


def _failed(event: FileFailed) -> Result:
    sentence = failure_in_words(event.error)
    about: dict[str, object] = {"source": event.source, "target": event.target, "error": sentence}
    note = sentence
    if event.trace is not None:
        note += "; --report and --log json have the traceback"
        about["trace"] = event.trace
    return Result(ExitCode.WORKERS_FAILED, Row(event.source, "failed", notes=(note,)), about)


def failure_in_words(error: Exception) -> str:
    """The sentence of an error over which a file was set aside; of a bug its kind and text."""
    return str(error) if isinstance(error, VideoError) else f"a worker failed: {in_a_line(error)}"


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
