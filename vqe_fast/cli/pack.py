"""``vqe-fast pack``: from clean clips to one small file for ``make gpu-train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vqe_fast.cli.exit_codes import GOES_ON, interruption, needing_packages, refusal
from vqe_fast.cli.in_words import size_in_words
from vqe_fast.cli.prepare import prepare_showing
from vqe_fast.cli.progress_bar import progress_bar


def pack(
    recipe: Annotated[
        str, typer.Argument(help="A recipe: a .yaml file, or the name of one that ships.")
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Folder of clean clips and photographs; may be given several times."),
    ],
    validate: Annotated[
        list[Path], typer.Option(help="Folder of others, to measure on; likewise.")
    ],
    output: Annotated[Path, typer.Option(help="The file to write, .safetensors.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(help="Changes to it: key=value, such as data.per_clip=6."),
    ] = None,
    cache: Annotated[
        Path, typer.Option(help="Folder for the degraded clips; kept for the next run.")
    ] = Path("runs/cache"),
    mib: Annotated[float, typer.Option(help="Size of the file in MiB, at most.")] = 45,
    side: Annotated[int, typer.Option(help="Of a crop in pixels, a multiple of 8.")] = 192,
    versions: Annotated[int, typer.Option(help="Compressed versions of each crop, at most.")] = 4,
) -> None:
    """Degrades clips as RECIPE says, and packs crops of them into one small file.

    Exit codes: 0 done, 2 refused options or clips, 130 interrupted.
    """
    with interruption(GOES_ON), needing_packages(), refusal(ValueError, OSError):
        from vqe_fast.data.packing import pack as run
        from vqe_fast.training.recipe import read_recipe
        from vqe_fast.training.recipes import find_recipe

        path = find_recipe(recipe)
        spec = read_recipe(path, changes or ()).data
        held_out, training = (prepare_showing(spec, each, cache) for each in (validate, data))
        with progress_bar("pack") as progress:
            contents = run(
                training,
                held_out,
                output,
                side=side,
                versions=versions,
                mib=mib,
                seed=spec.seed,
                recipe=path.name,
                data=", ".join(map(str, data)),
                progress=progress,
            )
    codecs = ", ".join(f"{name} {count}" for name, count in contents.codecs.items())
    typer.echo(
        f"{output}: {size_in_words(contents.bytes)}, samples coded in "
        f"{contents.bytes / contents.raw_bytes:.0%} of their size; {contents.crops} crops of "
        f"{side}×{side} and {contents.held_out} held out, {contents.pixels / 1e6:.1f} Mpixels of "
        f"compressed versions to train on ({codecs}; {contents.settings} settings)"
    )
