"""Output files of ``vqe-fast compare``: page and picture."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import typer

from vqe_fast.cli.in_words import size_in_words
from vqe_fast.cli.progress_bar import progress_bar
from vqe_fast.comparison import (
    ComparisonReport,
    Crop,
    Line,
    compare_videos,
    draw_profile,
    draw_stills,
)
from vqe_fast.video import VideoError


@dataclass(frozen=True)
class Request:
    """Arguments of ``vqe-fast compare``."""

    a: Path
    b: Path
    reference: Path | None
    output: Path | None
    png: Path | None
    start: float
    frames: int | None
    crop: str | None
    frame: list[int] | None
    profile: str | None


def run(request: Request, quiet: bool) -> None:
    """Writes the page and the picture, and prints their names.

    Raises:
        VideoError: that cannot be done.
    """
    _refuse_contradictions(request)
    crop = None if request.crop is None else Crop.parse(request.crop)
    line = None if request.profile is None else Line.parse(request.profile)
    if request.output is not None:
        _write_page(request, request.output, crop, quiet)
    if request.png is not None and line is not None:
        _write_profile(request, request.png, line, quiet)
    elif request.png is not None:
        _write_stills(request, request.png, crop, quiet)


def _refuse_contradictions(request: Request) -> None:
    if request.output is None and request.png is None:
        raise VideoError("say what to write: --output PAGE.html, --png FILE.png, or both")
    if request.output is not None and request.output == request.png:
        raise VideoError(f"{request.png} can be the page or the picture; give two names")
    if request.png is None and (request.frame or request.profile):
        raise VideoError("--frame and --profile say what to draw; add --png FILE.png")
    if request.frame and request.profile:
        raise VideoError("a profile is of all frames; leave out --frame or --profile")
    if request.profile and request.crop and request.output is None:
        raise VideoError("a profile is of whole rows or columns; leave out --crop")
    if request.png is not None and find_spec("matplotlib") is None:
        raise VideoError("a picture needs matplotlib: pip install matplotlib")


def _write_page(request: Request, target: Path, crop: Crop | None, quiet: bool) -> None:
    with progress_bar(quiet=quiet, frames=True) as progress:
        report = compare_videos(
            request.a,
            request.b,
            target,
            reference=request.reference,
            start=request.start,
            frames=request.frames,
            crop=crop,
            progress=progress,
        )
    if not quiet:
        typer.echo(summary_of(report))


def _write_stills(request: Request, target: Path, crop: Crop | None, quiet: bool) -> None:
    with progress_bar(quiet=quiet, frames=True) as progress:
        numbers = draw_stills(
            request.a,
            request.b,
            target,
            reference=request.reference,
            frames=request.frame,
            crop=crop,
            progress=progress,
        )
    if not quiet:
        drawn = ", ".join(map(str, numbers))
        typer.echo(f"{target}: frame{'s' if len(numbers) > 1 else ''} {drawn}, {_size(target)}")


def _write_profile(request: Request, target: Path, line: Line, quiet: bool) -> None:
    with progress_bar(quiet=quiet, frames=True) as progress:
        count = draw_profile(
            request.a,
            request.b,
            target,
            line,
            reference=request.reference,
            start=request.start,
            frames=request.frames,
            progress=progress,
        )
    if not quiet:
        typer.echo(f"{target}: {line.kind} {line.index} of {count} frames, {_size(target)}")


def summary_of(report: ComparisonReport) -> str:
    """What a page shows, in a line."""
    names = {"A": "A", "B": "B", "AB": "A to B"}
    figures = "; ".join(
        f"{names[name]} {each.psnr:.2f} dB, SSIM {each.ssim:.4f}"
        for name, each in report.quality.items()
    )
    return (
        f"{report.target}: {report.frames} frames matched by {report.matched_by}, "
        f"{_size(Path(report.target))}, in {report.seconds:.1f} s; {figures}"
    )


def _size(path: Path) -> str:
    return size_in_words(path.stat().st_size)
