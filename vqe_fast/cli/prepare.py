"""``vqe-fast prepare``: from clean clips to degraded ones, ready for training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqe_fast.cli.exit_codes import GOES_ON, interruption, needing_packages, refusal
from vqe_fast.cli.in_words import size_in_words
from vqe_fast.cli.progress_bar import progress_bar

if TYPE_CHECKING:
    from vqe_fast.data.prepared import Plan, Prepared
    from vqe_fast.data.spec import PrepareSpec


def prepare(
    spec: Annotated[Path, typer.Argument(help="What to do to the clips, a .yaml file.")],
    data: Annotated[
        list[Path],
        typer.Option(help="Folder of clean clips, or one clip; may be given several times."),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the bitstreams and their index.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Encoders at a time.", show_default="one a core")
    ] = None,
) -> None:
    """Degrades clips as SPEC says; run it again after an interruption and it goes on.

    Exit codes: 0 done, 2 refused options or clips, 130 interrupted.
    """
    with interruption(GOES_ON), needing_packages(), refusal(ValueError, OSError):
        from vqe_fast.data.spec import read_spec

        since = time.perf_counter()
        prepared = prepare_showing(read_spec(spec), data, output, workers)
    streams = [s for clip in prepared.index.clips for s in clip.streams.values()]
    cuts = sum(len(clip.cuts) for clip in prepared.index.clips)
    typer.echo(
        f"{output}: {len(streams)} streams of {len(prepared.clips)} clips, "
        f"{size_in_words(sum(stream.file.bytes for stream in streams))}, {cuts} scene cuts, "
        f"{time.perf_counter() - since:.0f} s"
    )


def prepare_showing(
    spec: PrepareSpec, folders: list[Path], output: Path, workers: int | None = None
) -> Prepared:
    """Prepares clips, after printing the plan, with a progress bar.

    Raises:
        ValueError: as :func:`vqe_fast.data.prepared.prepare`.
    """
    from vqe_fast.data.prepared import prepare as run
    from vqe_fast.data.spec import expand

    with progress_bar("prepare") as progress:
        return run(
            spec.sources(folders),
            expand(spec.degradations),
            output,
            per_clip=spec.per_clip,
            seed=spec.seed,
            cut_threshold=spec.cut_threshold,
            workers=workers,
            announce=_announce,
            progress=progress,
        )


def _announce(plan: Plan) -> None:
    todo = f"{plan.streams} streams to make, about {size_in_words(plan.bytes)}"
    kept = f", {plan.kept} kept" if plan.kept else ""
    typer.echo(
        f"{plan.clips} clips, {plan.frames} frames: {todo}{kept}; "
        f"their luma takes {size_in_words(plan.luma_bytes)} once decoded"
    )
