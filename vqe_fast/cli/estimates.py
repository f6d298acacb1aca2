"""``vqe-fast enhance --estimate``: time and size, told before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from vqe_fast.cli.batch_inputs import Batch, Task, batch_of
from vqe_fast.cli.batch_table import below_a_row
from vqe_fast.cli.exit_codes import ExitCode, code_of, say_error
from vqe_fast.cli.in_words import rate_in_words, size_in_words, time_in_words
from vqe_fast.cli.pipes import PIPE
from vqe_fast.cli.report_file import write_report
from vqe_fast.cli.shards import Shard
from vqe_fast.storage.location import Location
from vqe_fast.video import Estimate, VideoError, estimate_video
from vqe_fast.weights import WeightsError

_NAME = 29


def tell_estimates(
    sources: Sequence[Location],
    target: Location,
    is_one: bool,
    options: dict[str, Any],
    report_path: Path | None,
    shard: Shard | None = None,
) -> ExitCode:
    """Prints how long an enhancement will take and how large its output will be.

    Args:
        sources: the file to read; or files and directories.
        target: the file to write; or the directory.
        is_one: whether it is one file.
        options: of :func:`vqe_fast.video.enhance_video`.
        report_path: where to write the figures as JSON, if anywhere.
        shard: which of several files; None for all.

    Returns:
        The exit code.

    Raises:
        VideoError: source, target or options do not allow it.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    if PIPE in (*sources, target):
        raise VideoError("an estimate is of files; name INPUT and OUTPUT, or INPUT alone")
    options = {name: value for name, value in options.items() if name != "overwrite"}
    to_stderr = report_path == PIPE
    if is_one:
        found = estimate_video(sources[0], target, **options)
        renamed = "" if found.target == str(target) else f", written to {found.target}"
        typer.echo(f"{found.source}: {_sentence(found)}{renamed}", err=to_stderr)
        if report_path is not None:
            write_report(report_path, found.to_dict())
        return ExitCode.DONE
    batch = batch_of(sources, target, options["codec"])
    if shard is not None:
        batch = shard.part_of(batch)
        if not batch.tasks:
            typer.echo(f"shard {shard} has no file", err=to_stderr)
    results = [_tried(task, options) for task in batch.tasks]
    for line in _table(batch, results) if results else ():
        typer.echo(line, err=to_stderr)
    for folder, reason in batch.unread.items():
        say_error(f"the directory {folder} cannot be read: {reason}")
    if report_path is not None:
        rows = zip(batch.tasks, results, strict=True)
        write_report(report_path, [_row(task, result) for task, result in rows])
    codes = [code_of(each) for each in results if not isinstance(each, Estimate)]
    return max([*codes, ExitCode.REFUSED_INPUT if batch.unread else ExitCode.DONE])


def _tried(task: Task, options: dict[str, Any]) -> Estimate | VideoError | WeightsError:
    """The estimate of a file, or why there is none."""
    try:
        return estimate_video(task.source, task.target, **options)
    except (VideoError, WeightsError) as error:
        return error


def _row(task: Task, result: Estimate | Exception) -> dict[str, Any]:
    if isinstance(result, Estimate):
        return result.to_dict()
    return {"source": str(task.source), "target": str(task.target), "error": str(result)}


def _sentence(found: Estimate) -> str:
    return (
        f"about {time_in_words(found.seconds)} for {found.frames:,} frames of "
        f"{found.width}x{found.height} ({rate_in_words(found.fps)}), "
        f"{size_in_words(found.source_bytes)} → about {size_in_words(found.target_bytes)}, "
        f"{found.model} in {found.precision} on {found.device}"
    )


def _table(batch: Batch, results: Sequence[Estimate | Exception]) -> list[str]:
    lines = [_line("file", "frames", "size", "rate", "time", "output")]
    for task, result in zip(batch.tasks, results, strict=True):
        if isinstance(result, Estimate):
            size = f"{result.width}x{result.height}"
            lines.append(_counted(str(task.source), size, [result], rate_in_words(result.fps)))
        else:
            lines.append(_line(str(task.source), "-", "-", "-", "-", "refused"))
            lines += below_a_row(str(result))
    found = [each for each in results if isinstance(each, Estimate)]
    if len(found) > 1:
        lines.append(_counted(f"all {len(found)}", "", found, ""))
    return lines


def _counted(name: str, size: str, of: Sequence[Estimate], rate: str) -> str:
    frames, seconds = sum(each.frames for each in of), sum(each.seconds for each in of)
    output = size_in_words(sum(each.target_bytes for each in of))
    return _line(name, str(frames), size, rate, time_in_words(seconds), output)


def _line(name: str, frames: str, size: str, rate: str, time: str, output: str) -> str:
    short = name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"
    return f"{short:<{_NAME}} {frames:>7} {size:>9} {rate:>11} {time:>11} {output:>8}"
