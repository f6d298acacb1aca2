"""``vqe-fast enhance`` with several inputs or a directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from vqe_fast.cli.batch_inputs import Batch, Task, batch_of, make_folder
from vqe_fast.cli.batch_table import Row, table
from vqe_fast.cli.enhance_file import code_of_report, remarks
from vqe_fast.cli.exit_codes import ExitCode, code_of, say_error
from vqe_fast.cli.foretelling import foretelling
from vqe_fast.cli.pipes import PIPE
from vqe_fast.cli.progress_bar import progress_bar
from vqe_fast.cli.report_file import write_report
from vqe_fast.cli.shards import Shard
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.enhance import target_of
from vqe_fast.video.options import all_options
from vqe_fast.video.segments.resume_state import parts_path
from vqe_fast.weights import WeightsError


def enhance_several(
    sources: Sequence[Path],
    target: Path,
    options: dict[str, Any],
    report_path: Path | None,
    quiet: bool,
    shard: Shard | None = None,
) -> ExitCode:
    """Enhances all files one after the other, and prints a table of results.

    A file that cannot be enhanced does not keep the others from it. On resuming, outputs that are
    there already are left alone.

    Args:
        sources: files and directories.
        target: the directory to write to.
        options: of :func:`vqe_fast.video.enhance_video`.
        report_path: where to write the reports, if anywhere.
        quiet: print only what has to be said about single files.
        shard: which of the files; None for all.

    Returns:
        The largest of the files' exit codes.

    Raises:
        VideoError: there is nothing to enhance, or outputs cannot be told apart or written.
    """
    if PIPE in (*sources, target):
        raise VideoError(
            "standard input and output are for one video; name files and a directory to write to"
        )
    batch = batch_of(sources, target, options["codec"])
    if shard is not None:
        batch = shard.part_of(batch)
    make_folder(target)
    rows, reports = _of_unread(batch.unread)
    codes = [ExitCode.REFUSED_INPUT if batch.unread else ExitCode.DONE]
    try:
        for number, task in enumerate(batch.tasks, 1):
            title = f"{number}/{len(batch.tasks)} {task.source.name}"
            code, row, report = _enhance(task, batch, options, title, quiet)
            codes.append(code)
            rows.append(row)
            reports.append(report)
    finally:
        _say(rows, batch.passed_over, quiet, to_stderr=report_path == PIPE, shard=shard)
        if report_path is not None:
            write_report(report_path, reports)
    return max(codes)


def _of_unread(unread: Mapping[Path, str]) -> tuple[list[Row], list[dict[str, object]]]:
    """Rows and reports of directories that cannot be listed."""
    rows: list[Row] = []
    reports: list[dict[str, object]] = []
    for folder, reason in unread.items():
        sentence = f"the directory {folder} cannot be read: {reason}"
        rows.append(Row(f"{folder}{os.sep}", "refused", notes=(sentence,)))
        reports.append({"source": str(folder), "error": sentence})
    return rows, reports


def _enhance(
    task: Task, batch: Batch, options: dict[str, Any], title: str, quiet: bool
) -> tuple[ExitCode, Row, dict[str, object]]:
    """Exit code, row and report of one file."""
    about: dict[str, object] = {"source": str(task.source), "target": str(task.target)}
    name = str(task.source)
    try:
        target = _written_to(task, batch, options)
        about["target"] = str(target)
        is_there = os.path.isfile(target) and not os.path.exists(parts_path(target))
        if options["resume"] and is_there and not options["overwrite"]:
            return ExitCode.DONE, Row(name, "was there"), about | {"was_there": True}
        make_folder(target.parent)
        with progress_bar(title, quiet=quiet, frames=True) as progress:
            shown = foretelling(progress, task.source, options)
            report = enhance_video(task.source, target, progress=shown, **options)
    except (VideoError, WeightsError) as error:
        row = Row(name, "refused", notes=(str(error),))
        return code_of(error), row, about | {"error": str(error)}
    result = "damaged" if report.is_damaged else "done"
    notes = remarks(report)
    if target != task.target:
        notes.append(f"{task.target.suffix} cannot hold all of {name}: written to {target}")
    row = Row(name, result, report.frames_out, report.fps, tuple(notes))
    return code_of_report(report), row, report.to_dict()


def _written_to(task: Task, batch: Batch, options: dict[str, Any]) -> Path:
    """The output of a file, in another container if that is asked for and need be."""
    if options["container"] == "given":
        return task.target
    asked = {each.name: options[each.name] for _, each, _ in all_options()}
    target = target_of(task.source, task.target, **asked)
    if target != task.target:
        batch.claim(task.source, target)
    return target


def _say(
    rows: Sequence[Row],
    passed_over: Sequence[Path],
    quiet: bool,
    *,
    to_stderr: bool,
    shard: Shard | None,
) -> None:
    if not quiet:
        told = table(rows, passed_over) if rows or passed_over else f"shard {shard} has no file"
        typer.echo(told, err=to_stderr)
        return
    for row in rows:
        for note in row.notes:
            say_error(note)
