"""``vqe-fast enhance`` with several inputs or a directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from vqe_fast.cli.batch_inputs import Batch, Task, batch_of, make_folder
from vqe_fast.cli.batch_results import Result, result_of
from vqe_fast.cli.batch_table import Row, table
from vqe_fast.cli.exit_codes import ExitCode, say_error
from vqe_fast.cli.foretelling import foretelling
from vqe_fast.cli.going_on import keeps_parts, may_keep_parts
from vqe_fast.cli.pipes import PIPE
from vqe_fast.cli.progress_bar import progress_bar
from vqe_fast.cli.report_file import write_report
from vqe_fast.cli.shards import Shard
from vqe_fast.storage.location import Location
from vqe_fast.video import VideoError, enhance_video, enhance_videos
from vqe_fast.video.enhance import target_of
from vqe_fast.video.events import Advanced, FileDone, FileRefused, Observer, RunEvent
from vqe_fast.video.options import all_options
from vqe_fast.video.segments.admission import refuse_part
from vqe_fast.weights import WeightsError


def enhance_several(
    sources: Sequence[Location],
    target: Location,
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
    results = _of_unread(batch.unread)
    claims = {str(source): wanted for wanted, source in batch.claimed.items()}

    def observe(event: RunEvent) -> None:
        result = result_of(event, claims.get(getattr(event, "source", "")))
        if result is not None:
            results.append(result)

    try:
        if keeps_parts(options):
            _in_segments(batch, options, quiet, observe)
        else:
            _one_by_one(batch, options, quiet, observe)
    finally:
        order = {str(task.source): number for number, task in enumerate(batch.tasks)}
        results.sort(key=lambda result: order.get(result.row.name, -1))
        rows = [result.row for result in results]
        _say(rows, batch.passed_over, quiet, to_stderr=report_path == PIPE, shard=shard)
        if report_path is not None:
            write_report(report_path, [result.report for result in results])
    return max((result.code for result in results), default=ExitCode.DONE)


def _of_unread(unread: Mapping[Location, str]) -> list[Result]:
    """Results of directories that cannot be listed."""
    results = []
    for folder, reason in unread.items():
        sentence = f"the directory {folder} cannot be read: {reason}"
        row = Row(f"{folder}{os.sep}", "refused", notes=(sentence,))
        results.append(
            Result(ExitCode.REFUSED_INPUT, row, {"source": str(folder), "error": sentence})
        )
    return results


def _one_by_one(batch: Batch, options: dict[str, Any], quiet: bool, observe: Observer) -> None:
    """Enhances each file in one pass."""
    for number, task in enumerate(batch.tasks, 1):
        title = f"{number}/{len(batch.tasks)} {task.source.name}"
        name, target = str(task.source), task.target
        try:
            target = _written_to(task, batch, options)
            make_folder(target.parent)
            with progress_bar(title, quiet=quiet, frames=True) as progress:
                shown = foretelling(progress, task.source, options)
                report = enhance_video(task.source, target, progress=shown, **options)
        except (VideoError, WeightsError) as error:
            observe(FileRefused(name, str(target), error))
        else:
            observe(FileDone(name, report, workers_lost=0))


def _in_segments(batch: Batch, options: dict[str, Any], quiet: bool, observe: Observer) -> None:
    """Enhances the segments of all files in one queue."""
    files = []
    for task in batch.tasks:
        target = task.target
        try:
            target = _written_to(task, batch, options)
            make_folder(target.parent)
            files.append((task.source, target))
        except (VideoError, WeightsError) as error:
            observe(FileRefused(str(task.source), str(target), error))
    refuse_part(is_all=may_keep_parts(options))
    asked = {name: value for name, value in options.items() if name not in ("start", "frames")}
    title = f"{len(files)} files" if len(files) > 1 else None
    with progress_bar(title, quiet=quiet, frames=True) as progress:

        def show(event: RunEvent) -> None:
            if isinstance(event, Advanced) and progress is not None:
                progress(event.all_done, event.all_frames)
            observe(event)

        enhance_videos(files, observe=show, **asked)


def _written_to(task: Task, batch: Batch, options: dict[str, Any]) -> Location:
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
    passed_over: Sequence[Location],
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
