"""``vqe-fast enhance`` with one input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from vqe_fast.cli.exit_codes import ExitCode
from vqe_fast.cli.foretelling import foretelling
from vqe_fast.cli.going_on import keeps_parts
from vqe_fast.cli.in_words import rate_in_words, size_in_words
from vqe_fast.cli.pipes import PIPE, readable, refuse_segments, writable
from vqe_fast.cli.remarks import code_of_report, remarks
from vqe_fast.cli.report_file import write_report
from vqe_fast.cli.run_output import RunOutput
from vqe_fast.storage.location import Location
from vqe_fast.video import EnhanceReport, VideoError, enhance_video
from vqe_fast.video.errors import SkippedError, WorkerError
from vqe_fast.video.events import (
    FileDone,
    FileFailed,
    FileRefused,
    FileSkipped,
    FileStarted,
    RunEvent,
    WorkersAwaited,
)
from vqe_fast.weights import WeightsError


def enhance_one(
    source: Location,
    target: Location,
    format_of_pipe: str | None,
    options: dict[str, Any],
    report_path: Path | None,
    told: RunOutput,
) -> ExitCode:
    """Enhances a file, and prints a summary.

    Args:
        source: the file to read, or ``-``.
        target: the file to write, or ``-``.
        format_of_pipe: suffix without its dot for standard output.
        options: of :func:`vqe_fast.video.enhance_video`.
        report_path: where to write the report, if anywhere.
        told: is told what happens.

    Returns:
        The exit code.

    Raises:
        VideoError: source, target or options do not allow it.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    told.begin([source], target, files=1)
    names = str(source), str(target)
    try:
        return _enhance(source, target, format_of_pipe, options, report_path, told)
    except SkippedError as error:
        if not options["resume"]:
            told.observe(FileRefused(*names, error))
            raise
        told.observe(FileSkipped(*names, was_there=False, why=str(error)))
        return _skip(*names, str(error), report_path, told)
    except WorkerError as error:
        told.observe(FileFailed(*names, error, error.trace))
        raise
    except (VideoError, WeightsError) as error:
        told.observe(FileRefused(*names, error))
        raise


def _enhance(
    source: Location,
    target: Location,
    format_of_pipe: str | None,
    options: dict[str, Any],
    report_path: Path | None,
    told: RunOutput,
) -> ExitCode:
    """Enhances a file for which there is something to do."""
    if keeps_parts(options):
        refuse_segments(source, target)
    if target == PIPE and options["container"] != "given":
        raise VideoError("standard output gets the container of --format; leave --container out")

    def observe(event: RunEvent) -> None:
        if isinstance(event, FileDone):  # told below, when it is where it was asked for
            return
        if isinstance(event, FileStarted):
            event = replace(event, target=str(target))
        if not isinstance(event, WorkersAwaited):
            event = replace(event, source=str(source))
        told.observe(event)
        told.entitle()

    with (
        writable(target, format_of_pipe) as output,
        readable(source) as input_file,
        told.progress() as progress,
    ):
        shown = foretelling(progress, input_file, options)
        report = enhance_video(input_file, output, progress=shown, observe=observe, **options)
    written = str(target) if target == PIPE else report.target
    report = replace(report, source=str(source), target=written)
    told.observe(FileDone(report.source, report, workers_lost=told.workers_lost))
    told.say(
        f"{written}: {report.frames_out} frames in {report.seconds:.1f} s "
        f"({rate_in_words(report.fps)}), "
        f"{size_in_words(report.source_bytes)} → {size_in_words(report.target_bytes)}, "
        f"{report.model} in {report.precision} on {report.device}"
        + _size(report)
        + _tiles(report)
        + _segments(report),
        to_stderr=PIPE in (target, report_path),
    )
    for remark in remarks(report):
        told.remark(remark)
    if report_path is not None:
        write_report(report_path, report.to_dict())
    return code_of_report(report)


def _skip(
    source: str, target: str, why: str, report_path: Path | None, told: RunOutput
) -> ExitCode:
    """Says that there is nothing to do for a file, which is no failure."""
    told.say(f"{source}: skipped, {why}", to_stderr=report_path == PIPE)
    if report_path is not None:
        write_report(report_path, {"source": source, "target": target, "skipped": why})
    return ExitCode.DONE


def _size(report: EnhanceReport) -> str:
    if report.options["target_size"] is None:
        return ""
    return f", {report.target_bytes} bytes at crf {report.crf:g}"


def _tiles(report: EnhanceReport) -> str:
    if report.tile is None:
        return ""
    change = "" if report.tiles_exact else ", a little different from whole frames"
    return f", in tiles of {report.tile} pixels{change}"


def _segments(report: EnhanceReport) -> str:
    return f", {report.resumed} of {report.segments} segments were there" if report.resumed else ""
