"""``vqe-fast train``: from a folder of clean clips to weights and their card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vqe_fast.training.pairs import PairedClip
    from vqe_fast.training.spec import PrepareSpec
    from vqe_fast.training.train import Progress

_REFUSED = 2


def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a .yaml file.")],
    data: Annotated[Path, typer.Option(help="Folder of clean clips and photographs.")],
    output: Annotated[Path, typer.Option(help="Folder for weights, measurements and the card.")],
    validate: Annotated[
        Path | None, typer.Option(help="Folder of clean clips to measure the result on.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights (.safetensors) to start from.")
    ] = None,
    cache: Annotated[
        Path, typer.Option(help="Folder for the compressed clips; kept for the next run.")
    ] = Path("runs/cache"),
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
) -> None:
    """Trains RECIPE's model; run it again after an interruption and it goes on."""
    try:
        _train(recipe, data, output, validate, weights, cache, device)
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        typer.echo(f"vqe-fast: {error}", err=True)
        raise typer.Exit(_REFUSED) from error


def _train(
    recipe_path: Path,
    data: Path,
    output: Path,
    validate: Path | None,
    weights: Path | None,
    cache: Path,
    device: str,
) -> None:
    import torch

    from vqe_fast.models.inference import prepare_inference
    from vqe_fast.training.card import Card
    from vqe_fast.training.measure import measure, summarise, write_csv
    from vqe_fast.training.recipe import read_recipe
    from vqe_fast.training.train import WEIGHTS_NAME
    from vqe_fast.training.train import train as run

    recipe = read_recipe(recipe_path)
    place = torch.device(device)
    clips = _load(data, recipe.data, cache)
    report = _reporter(recipe.optimiser.steps)
    model = run(recipe, clips, output, device=place, weights=weights, report=report)
    typer.echo(f"weights: {output / WEIGHTS_NAME}")
    if validate is None:
        return
    del clips
    held_out = _load(
        validate, recipe.data.model_copy(update={"degradations": recipe.validation}), cache
    )
    # As users will run it: in 16 bits where that is as good.
    probe = torch.tensor(held_out[0].pristine("y")[:1, None]).float() / 255
    ready, _ = prepare_inference(model, device=place, precision="auto", probe=probe)
    rows = measure(ready, held_out, device=place)
    write_csv(rows, output / "measured.csv")
    gains = summarise(rows)
    card = Card(
        model=recipe.model,
        file=WEIGHTS_NAME,
        recipe=recipe_path.name,
        data=str(data),
        validated_on=str(validate),
        steps=recipe.optimiser.steps,
        seed=recipe.seed,
        measured=gains,
    )
    (output / "card.toml").write_text(card.to_toml(), "utf-8")
    for setting, gain in gains.items():
        typer.echo(
            f"{setting:12} ΔPSNR {gain['psnr_gain']:+.3f} dB "
            f"(worst clip {gain['worst_psnr_gain']:+.3f})  ΔSSIM {gain['ssim_gain']:+.4f}"
        )


def _load(folder: Path, spec: PrepareSpec, cache: Path) -> Sequence[PairedClip]:
    from vqe_fast.cli.prepare import prepare_showing

    return prepare_showing(spec, [folder], cache).clips


def _reporter(steps: int) -> Callable[[Progress], None]:
    def say(progress: Progress) -> None:
        left = (steps - progress.step) / progress.rate
        typer.echo(
            f"step {progress.step}/{steps}  loss {progress.loss:.6f}  "
            f"{progress.rate:.2f} steps/s  {left / 60:.0f} min left"
        )

    return say
