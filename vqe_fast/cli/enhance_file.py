"""``vqe-fast enhance`` with one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from vqe_fast.cli.exit_codes import ExitCode, say_error
from vqe_fast.cli.foretelling import foretelling
from vqe_fast.cli.going_on import keeps_parts
from vqe_fast.cli.in_words import rate_in_words, size_in_words
from vqe_fast.cli.pipes import PIPE, readable, refuse_segments, writable
from vqe_fast.cli.progress_bar import progress_bar
from vqe_fast.cli.report_file import write_report
from vqe_fast.storage.location import Location
from vqe_fast.video import EnhanceReport, VideoError, enhance_video
from vqe_fast.video.errors import SkippedError


def enhance_one(
    source: Location,
    target: Location,
    format_of_pipe: str | None,
    options: dict[str, Any],
    report_path: Path | None,
    quiet: bool,
) -> ExitCode:
    """Enhances a file, and prints a summary.

    Args:
        source: the file to read, or ``-``.
        target: the file to write, or ``-``.
        format_of_pipe: suffix without its dot for standard output.
        options: of :func:`vqe_fast.video.enhance_video`.
        report_path: where to write the report, if anywhere.
        quiet: say nothing about success.

    Returns:
        The exit code.

    Raises:
        VideoError: source, target or options do not allow it.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    try:
        return _enhance(source, target, format_of_pipe, options, report_path, quiet)
    except SkippedError as error:
        if not options["resume"]:
            raise
        about = {"source": str(source), "target": str(target), "skipped": str(error)}
        return _skip(about, report_path, quiet)


def _enhance(
    source: Location,
    target: Location,
    format_of_pipe: str | None,
    options: dict[str, Any],
    report_path: Path | None,
    quiet: bool,
) -> ExitCode:
    """Enhances a file for which there is something to do."""
    if keeps_parts(options):
        refuse_segments(source, target)
    if target == PIPE and options["container"] != "given":
        raise VideoError("standard output gets the container of --format; leave --container out")
    with (
        writable(target, format_of_pipe) as output,
        readable(source) as input_file,
        progress_bar(quiet=quiet, frames=True) as progress,
    ):
        shown = foretelling(progress, input_file, options)
        report = enhance_video(input_file, output, progress=shown, **options)
    written = str(target) if target == PIPE else report.target
    report = replace(report, source=str(source), target=written)
    if not quiet:
        typer.echo(
            f"{written}: {report.frames_out} frames in {report.seconds:.1f} s "
            f"({rate_in_words(report.fps)}), "
            f"{size_in_words(report.source_bytes)} → {size_in_words(report.target_bytes)}, "
            f"{report.model} in {report.precision} on {report.device}"
            + _size(report)
            + _tiles(report)
            + _segments(report),
            err=PIPE in (target, report_path),
        )
    for remark in remarks(report):
        say_error(remark)
    if report_path is not None:
        write_report(report_path, report.to_dict())
    return code_of_report(report)


def _skip(about: Mapping[str, str], report_path: Path | None, quiet: bool) -> ExitCode:
    """Says that there is nothing to do for a file, which is no failure."""
    if not quiet:
        typer.echo(f"{about['source']}: skipped, {about['skipped']}", err=report_path == PIPE)
    if report_path is not None:
        write_report(report_path, about)
    return ExitCode.DONE


def code_of_report(report: EnhanceReport) -> ExitCode:
    """The exit code of an enhancement that came to its end."""
    return ExitCode.INCOMPLETE if report.is_damaged else ExitCode.DONE


def remarks(report: EnhanceReport) -> list[str]:
    """Warnings of a report, printed even with ``--quiet``: what got lost, what was damaged."""
    said = []
    if report.enhanced_before is not None:
        said.append(
            f"{report.source} was enhanced before ({report.enhanced_before}): enhancing twice is "
            "seldom wanted"
        )
    if report.not_kept:
        said.append(f"not kept of {report.source}: {', '.join(report.not_kept)}")
    spared = report.applied.get("none", 0)
    if spared:
        said.append(
            f"{report.model} was not applied to {spared} of {report.frames_out} frames of "
            f"{report.source}: it would do harm there"
        )
    if report.frames_scaled:
        said.append(
            f"{report.frames_scaled} of {report.frames_out} frames of {report.source} have another "
            f"size or pixel format than the first, and were scaled to {report.width}x"
            f"{report.height} {report.pixel_format}"
        )
    if report.time_restarts:
        said.append(
            f"the timestamps of {report.source} restart or jump, as where recordings were joined: "
            f"{report.time_restarts + 1} pieces were put one behind the other"
        )
    if report.is_damaged:
        said.append(
            f"{report.source} is damaged: {report.damaged_packets} packets could not "
            f"be decoded or copied, {report.frames_damaged} frames decoded with errors"
        )
    return said


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
