"""What has to be said of an enhancement that came to its end: exit code, and warnings."""

from __future__ import annotations

from vqe_fast.cli.exit_codes import ExitCode
from vqe_fast.video import EnhanceReport


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
