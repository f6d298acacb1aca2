"""``vqe-fast enhance``: one file in, a better file out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqe_fast.cli.interrupt import INTERRUPTED, interruptible

if TYPE_CHECKING:
    from vqe_fast.video import EnhanceReport

_DONE_WITH_DAMAGE = 1
_REFUSED = 2


class _Interlaced(StrEnum):
    REFUSE = "refuse"
    FIELDS = "fields"


class _Precision(StrEnum):
    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


def enhance(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", help="The video to enhance; - for standard input.", allow_dash=True
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="The file to write: .mp4, .mov, .mkv or .webm; - for standard output.",
            allow_dash=True,
        ),
    ],
    model: Annotated[
        str, typer.Option(help="A model's name; `vqe-fast models` lists them.")
    ] = "carcnn_small",
    weights: Annotated[
        Path | None, typer.Option(help="Weights (.safetensors) instead of those that ship.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    precision: Annotated[
        _Precision, typer.Option(help="auto takes 16 bits where that is faster and as good.")
    ] = _Precision.AUTO,
    codec: Annotated[
        str,
        typer.Option(
            help="Encoder: libx264, libx265, libsvtav1, libvpx-vp9, ffv1 (lossless), "
            "or source (that of INPUT's codec)."
        ),
    ] = "libx264",
    crf: Annotated[
        int | None,
        typer.Option(
            help="Quality of the encoder, smaller is better, 0 is lossless.",
            show_default="18 for libx264, 20 for libx265, 25 for libsvtav1, 24 for libvpx-vp9",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Speed of the encoder.", show_default="the encoder's")
    ] = None,
    pix_fmt: Annotated[
        str | None,
        typer.Option(
            help="Pixel format to convert to, such as yuv420p10le.", show_default="INPUT's"
        ),
    ] = None,
    interlaced: Annotated[
        _Interlaced, typer.Option(help="Refuse interlaced video, or enhance its fields.")
    ] = _Interlaced.REFUSE,
    container: Annotated[
        str | None,
        typer.Option("--format", help="Container for standard output: mp4, mov, mkv or webm."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames.", show_default="all")
    ] = None,
    qp: Annotated[
        float | None,
        typer.Option(
            min=0, max=63, help="QP of all frames.", show_default="that of each in its stream"
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=32, help="Pixels a side of tiles.", show_default="whole frames if memory allows"
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(help="What the model may take, such as 2GiB.", show_default="what is free"),
    ] = None,
    clip_frames: Annotated[
        int | None,
        typer.Option(
            min=13,
            help="Frames that a recurrent model sees together.",
            show_default="up to 48 as memory allows",
        ),
    ] = None,
    segment_seconds: Annotated[
        float | None,
        typer.Option(
            help="Work in segments of about that length, which are kept if interrupted.",
            show_default="one pass; 30 with --workers or --resume",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=1, help="Processes to share segments, each with a GPU, or on a CPU."),
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the segments in OUTPUT.parts.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Enhances the frames of INPUT and writes OUTPUT; all else is kept as it is.

    Standard input is read to its end first; standard output is written when all is done.

    Exit codes: 0 done, 1 done but parts of INPUT were damaged, 2 refused, 130 interrupted.
    """
    try:
        with interruptible():
            from vqe_fast.cli.pipes import PIPE, readable, refuse_segments, writable
            from vqe_fast.video import VideoError, enhance_video
            from vqe_fast.weights import WeightsError

            try:
                if segment_seconds is not None or workers != 1 or resume:
                    refuse_segments(source, target)
                with (
                    writable(target, container) as output,
                    readable(source) as input_file,
                    _progress_bar(quiet) as progress,
                ):
                    report = enhance_video(
                        input_file,
                        output,
                        model,
                        weights=weights,
                        device=device,
                        precision=precision.value,
                        codec=codec,
                        crf=crf,
                        preset=preset,
                        pix_fmt=pix_fmt,
                        interlaced=interlaced.value,
                        frames=frames,
                        qp=qp,
                        tile=tile,
                        max_memory=max_memory,
                        clip_frames=clip_frames,
                        overwrite=overwrite,
                        segment_seconds=segment_seconds,
                        workers=workers,
                        resume=resume,
                        progress=progress,
                    )
            except (VideoError, WeightsError) as error:
                typer.echo(f"vqe-fast: {error}", err=True)
                raise typer.Exit(_REFUSED) from error
    except KeyboardInterrupt as error:
        typer.echo(f"vqe-fast: interrupted, {target} was not written{_rest(target)}", err=True)
        raise typer.Exit(INTERRUPTED) from error
    _conclude(replace(report, source=str(source), target=str(target)), quiet, target == PIPE)


def _conclude(report: EnhanceReport, quiet: bool, to_stderr: bool) -> None:
    if not quiet:
        typer.echo(
            f"{report.target}: {report.frames_out} frames in {report.seconds:.1f} s "
            f"({report.fps:.1f} fps), {report.model} in {report.precision} on {report.device}"
            + _tiles(report)
            + _segments(report),
            err=to_stderr,
        )
    if report.not_kept:
        typer.echo(
            f"vqe-fast: {report.codec} does not keep these of {report.source}: "
            f"{', '.join(report.not_kept)}",
            err=True,
        )
    if report.is_damaged:
        typer.echo(
            f"vqe-fast: {report.source} is damaged: {report.damaged_packets} packets could not "
            f"be decoded or copied, {report.frames_damaged} frames decoded with errors",
            err=True,
        )
        raise typer.Exit(_DONE_WITH_DAMAGE)


def _rest(target: Path) -> str:
    """What to do after an interruption."""
    from vqe_fast.video.parts import parts_path

    return "; go on with --resume" if parts_path(target).exists() else ""


def _segments(report: EnhanceReport) -> str:
    if report.segments is None:
        return ""
    return f", {report.resumed} of {report.segments} segments were there" if report.resumed else ""


def _tiles(report: EnhanceReport) -> str:
    if report.tile is None:
        return ""
    change = "" if report.tiles_exact else ", a little different from whole frames"
    return f", in tiles of {report.tile} pixels{change}"


@contextmanager
def _progress_bar(quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar with frames per second and time left, on a terminal only."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]}"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task("enhance", total=None, fps="")

    def show(done: int, total: int | None) -> None:
        bar.start()  # only now: a refusal leaves no empty bar behind
        speed = bar.tasks[0].speed
        fps = "" if speed is None else f"{speed:.1f} fps"
        bar.update(task, completed=done, total=total, fps=fps)

    try:
        yield show
    finally:
        bar.stop()
