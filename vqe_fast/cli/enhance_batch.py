"""``vqe-fast enhance`` with several inputs or a directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vqe_fast.cli.batch_inputs import Batch, Task, batch_of, make_folder
from vqe_fast.cli.batch_results import Result, result_of
from vqe_fast.cli.batch_table import Row, table
from vqe_fast.cli.exit_codes import ExitCode
from vqe_fast.cli.foretelling import foretelling
from vqe_fast.cli.going_on import keeps_parts, may_keep_parts
from vqe_fast.cli.pipes import PIPE
from vqe_fast.cli.report_file import write_report
from vqe_fast.cli.run_output import RunOutput
from vqe_fast.cli.shards import Shard
from vqe_fast.storage.location import Location
from vqe_fast.video import VideoError, enhance_video, enhance_videos
from vqe_fast.video.enhance import target_of
from vqe_fast.video.events import Advanced, FileRefused, Observer, RunEvent
from vqe_fast.video.options import all_options
from vqe_fast.video.segments.admission import refuse_part
from vqe_fast.weights import WeightsError


def enhance_several(
    sources: Sequence[Location],
    target: Location,
    options: dict[str, Any],
    report_path: Path | None,
    told: RunOutput,
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
        told: is told what happens.
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
    told.begin(sources, target, files=len(batch.tasks))
    results = _of_unread(batch.unread)
    claims = {str(source): wanted for wanted, source in batch.claimed.items()}

    def observe(event: RunEvent) -> None:
        told.observe(event)
        result = result_of(event, claims.get(getattr(event, "source", "")))
        if result is not None:  # of many thousand files, reports that nobody reads are a burden
            results.append(result if report_path is not None else replace(result, report={}))

    try:
        if keeps_parts(options):
            _in_segments(batch, options, told, observe)
        else:
            _one_by_one(batch, options, told, observe)
    finally:
        order = {str(task.source): number for number, task in enumerate(batch.tasks)}
        results.sort(key=lambda result: order.get(result.row.name, -1))
        rows = [result.row for result in results]
        if rows or batch.passed_over:
            told.say(table(rows, batch.passed_over), to_stderr=report_path == PIPE)
        elif shard is not None and not batch.tasks:
            told.say(f"shard {shard} has no file", to_stderr=report_path == PIPE)
        for note in (note for row in rows for note in row.notes if told.quiet):
            told.remark(note)
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


def _one_by_one(batch: Batch, options: dict[str, Any], told: RunOutput, observe: Observer) -> None:
    """Enhances each file in one pass."""
    before = 0

    def among_all(event: RunEvent) -> None:
        if isinstance(event, Advanced):  # how many frames other files have is not known
            event = replace(event, all_done=before + event.done, all_frames=None)
        observe(event)

    for number, task in enumerate(batch.tasks, 1):
        title = f"{number}/{len(batch.tasks)} {task.source.name}"
        name, target = str(task.source), task.target
        try:
            target = _written_to(task, batch, options)
            make_folder(target.parent)
            with told.progress(title) as progress:
                shown = foretelling(progress, task.source, options)
                enhance_video(task.source, target, progress=shown, observe=among_all, **options)
        except (VideoError, WeightsError) as error:
            observe(FileRefused(name, str(target), error))
        before = told.frames


def _in_segments(batch: Batch, options: dict[str, Any], told: RunOutput, observe: Observer) -> None:
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
    with told.progress() as progress:

        def show(event: RunEvent) -> None:
            observe(event)
            if isinstance(event, Advanced) and progress is not None:
                told.entitle()
                progress(event.all_done, event.all_frames)

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
