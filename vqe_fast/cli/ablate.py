"""``vqe-fast ablate``: variants of a recipe, trained and measured alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vqe_fast.cli.exit_codes import GOES_ON, interruption, needing_packages, refusal
from vqe_fast.cli.train import choose_pace, load_clips, say


def ablate(
    comparison: Annotated[
        str, typer.Argument(help="What to compare: a .yaml file, or the name of one that ships.")
    ],
    data: Annotated[list[Path], typer.Option(help="Folder of clean clips to train on.")],
    validate: Annotated[list[Path], typer.Option(help="Folder of clean clips to measure on.")],
    output: Annotated[Path, typer.Option(help="Folder for weights, measurements and the table.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(
            help="Changes to the recipe of every variant: key=value, such as stages.0.steps=500."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Another recipe than the comparison's, such as that in full size."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A .safetensors file that every variant starts from.")
    ] = None,
    cache: Annotated[
        Path, typer.Option(help="Folder for the degraded clips; kept for the next run.")
    ] = Path("runs/cache"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
) -> None:
    """Trains variants of a recipe, measures them on the same clips and prints a table.

    Exit codes: 0 done, 2 refused options or clips, 130 interrupted.
    """
    with (
        interruption(GOES_ON),
        needing_packages(),
        refusal(ValueError, OSError, FloatingPointError),
    ):
        from vqe_fast.training.ablation import compare, read_comparison, table
        from vqe_fast.training.fabric import make_fabric
        from vqe_fast.training.recipe import read_recipe
        from vqe_fast.training.recipes import find_recipe

        chosen = read_comparison(comparison)
        if recipe is not None:
            chosen = chosen.model_copy(update={"recipe": recipe})
        whole = read_recipe(find_recipe(chosen.recipe), changes or ())
        pace = choose_pace(whole, output, device)
        rows = compare(
            chosen,
            output,
            fabric=make_fabric(device, pace.precision),
            weights=weights,
            changes=changes or (),
            learn_from=lambda spec: load_clips(spec, data, cache),
            measure_on=lambda spec: load_clips(spec, validate, cache),
            report=lambda variant, report: say(report, variant),
        )
        text = table(rows)
        (output / "table.md").write_text(text + "\n", "utf-8")
    typer.echo(text)
