"""``vqe-fast train``: from folders of clean clips to weights and their card."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqe_fast.cli.exit_codes import GOES_ON, interruption, needing_packages, refusal
from vqe_fast.cli.progress_bar import progress_bar

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric
    from torch import nn

    from vqe_fast.data.pairs import PairedClip
    from vqe_fast.training.pace import Pace
    from vqe_fast.training.recipe import DataRecipe, Recipe
    from vqe_fast.training.train import Progress, Validated


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe: a .yaml file, or the name of one that ships.")
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Folder of clean clips and photographs; may be given several times."),
    ],
    output: Annotated[
        Path, typer.Option(help="Folder for weights, curves, measurements and the card.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(help="Changes to it: key=value, such as stages.0.steps=500."),
    ] = None,
    validate: Annotated[
        list[Path] | None, typer.Option(help="Folder of clean clips to measure on.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights (.safetensors) to start from.")
    ] = None,
    cache: Annotated[
        Path, typer.Option(help="Folder for the degraded clips; kept for the next run.")
    ] = Path("runs/cache"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
) -> None:
    """Trains RECIPE's model; run it again after an interruption and it goes on.

    On several GPUs: torchrun --nproc-per-node=8 $(which vqe-fast) train …

    Exit codes: 0 done, 2 refused options or clips, 130 interrupted.
    """
    with (
        interruption(GOES_ON),
        needing_packages(),
        refusal(ValueError, OSError, FloatingPointError),
    ):
        from vqe_fast.training.recipe import read_recipe
        from vqe_fast.training.recipes import find_recipe

        path = find_recipe(recipe)
        chosen = read_recipe(path, changes or ())
        _train(chosen, path.name, data, output, validate or [], weights, cache, device)


def _train(
    recipe: Recipe,
    name: str,
    data: list[Path],
    output: Path,
    validate: list[Path],
    weights: Path | None,
    cache: Path,
    device: str,
) -> None:
    from vqe_fast.models.galteri import PREDICTOR
    from vqe_fast.training.checkpoint import WEIGHTS_NAME
    from vqe_fast.training.fabric import make_fabric
    from vqe_fast.training.pace import keep_pace
    from vqe_fast.training.tensorboard import Board
    from vqe_fast.training.train import train as run

    pace = choose_pace(recipe, output, device)
    fabric = make_fabric(device, pace.precision)
    with fabric.rank_zero_first():
        clips = load_clips(recipe.data, data, cache)
    held_out: Sequence[PairedClip] = []
    if validate:
        validation = recipe.validation
        update = {
            "degradations": validation.report or recipe.data.degradations,
            "frames": validation.frames,
            "per_clip": None,
        }
        with fabric.rank_zero_first():
            held_out = load_clips(recipe.data.model_copy(update=update), validate, cache)
    if fabric.is_global_zero:
        keep_pace(pace, output)
    with fabric.rank_zero_first():
        teach_showing(recipe, clips, fabric.device)
    with ExitStack() as stack:
        board = stack.enter_context(Board(output)) if fabric.is_global_zero else None

        def report(progress: Progress | Validated) -> None:
            say(progress)
            if board:
                board(progress)

        model = run(
            recipe,
            clips,
            output,
            fabric=fabric,
            validation=held_out,
            weights=weights,
            report=report,
        )
    if not fabric.is_global_zero:
        return
    typer.echo(f"weights: {output / WEIGHTS_NAME}; curves: tensorboard --logdir {output}")
    if held_out and recipe.model != PREDICTOR:
        _measure(model, recipe, name, data, validate, held_out, output, fabric)


def _measure(
    model: nn.Module,
    recipe: Recipe,
    name: str,
    data: list[Path],
    validate: list[Path],
    held_out: Sequence[PairedClip],
    output: Path,
    fabric: Fabric,
) -> None:
    from vqe_fast.training.card import Card
    from vqe_fast.training.checkpoint import WEIGHTS_NAME
    from vqe_fast.training.gains import measure, summarise, write_csv
    from vqe_fast.training.losses import features_in_words

    typer.echo(f"measuring the weights on {len(held_out)} clips")
    with progress_bar("measure") as progress:
        rows = measure(
            model,
            held_out,
            frame_step=recipe.validation.frame_step,
            device=fabric.device,
            qp=recipe.data.qp,
            progress=progress,
        )
    write_csv(rows, output / "measured.csv")
    gains = summarise(rows)
    card = Card(
        model=recipe.model,
        options=recipe.options,
        file=WEIGHTS_NAME,
        recipe=name,
        data=", ".join(map(str, data)),
        validated_on=", ".join(map(str, validate)),
        steps=sum(stage.steps for stage in recipe.stages),
        seed=recipe.seed,
        measured=gains,
        features=features_in_words([term for stage in recipe.stages for term in stage.loss]),
    )
    (output / "card.toml").write_text(card.to_toml(), "utf-8")
    for setting, gain in gains.items():
        line = (
            f"{setting:12} ΔPSNR {gain['psnr_gain']:+.3f} dB "
            f"(worst clip {gain['worst_psnr_gain']:+.3f})  ΔSSIM {gain['ssim_gain']:+.4f}"
        )
        if "chroma_gain" in gain:
            line += f"  ΔPSNR of chroma {gain['chroma_gain']:+.3f} dB"
        typer.echo(line)


def choose_pace(recipe: Recipe, output: Path, device: str) -> Pace:
    """Chooses precision and threads of a run, sets the threads, and prints the choice."""
    import torch

    from vqe_fast.models.galteri import PREDICTOR
    from vqe_fast.training.fabric import pick_kind
    from vqe_fast.training.pace import Pace, pace_of
    from vqe_fast.training.train import build_model

    if recipe.model == PREDICTOR:
        return Pace("fp32" if recipe.precision == "fp32" else "bf16", torch.get_num_threads(), {})
    place = torch.device(pick_kind(device))
    model = build_model(recipe).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    pace = pace_of(recipe, output, model, place)
    torch.set_num_threads(pace.threads)
    tried = ", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in pace.seconds.items())
    threads = f"{pace.threads} thread{'s' * (pace.threads > 1)}"
    typer.echo(f"{pace.precision}, {threads}" + (f" (tried: {tried})" if tried else ""))
    return pace


def teach_showing(recipe: Recipe, clips: Sequence[PairedClip], device: torch.device) -> None:
    """Computes the corrections of a recipe's teachers, with a progress bar."""
    from vqe_fast.data.teacher import Teacher, teach

    for name in sorted({stage.teacher for stage in recipe.stages if stage.teacher is not None}):
        with progress_bar(f"{name} teaches") as progress:
            teach(Teacher(name, device), clips, progress)


def load_clips(data: DataRecipe, folders: list[Path], cache: Path) -> Sequence[PairedClip]:
    """Pairs of clips in some folders, degraded as ``data`` says, or in the layout it names."""
    from vqe_fast.cli.prepare import prepare_showing
    from vqe_fast.data.readers import READERS

    if data.layout == "clips":
        return prepare_showing(data, folders, cache).clips
    return [clip for folder in folders for clip in READERS[data.layout](folder, cache)]


def say(report: Progress | Validated, run: str = "") -> None:
    """Prints progress or a validation of a run.

    Args:
        report: of the run.
        run: what to call it, where there are several.
    """
    from vqe_fast.training.train import Progress

    title = f"{run}: {report.stage}" if run else report.stage
    if not isinstance(report, Progress):
        figures = "  ".join(f"{name} {value:.4f}" for name, value in report.figures.items())
        typer.echo(f"{title}  validation after step {report.step}: {figures}")
        return
    terms = "  ".join(f"{name} {value:.5f}" for name, value in report.terms.items())
    left = (report.steps - report.step) / report.rate
    typer.echo(
        f"{title}  step {report.step}/{report.steps}  {terms}  "
        f"{report.rate:.2f} steps/s ({report.waiting:.0%} waiting for data)  "
        f"{left / 60:.0f} min left"
    )
