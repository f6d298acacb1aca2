"""Measures weights that ship as they are applied, and writes what they gain into their card.

Run: ``python benchmarks/measure_weights.py dualres_s CLIPS --cache CACHE``; the settings are those
that the model's recipe reports. A run that trains measures all of a correction, since it knows no
strengths; this measures as much of it as the card says.
"""

import argparse
import re
from pathlib import Path

from vqe_fast import create_model
from vqe_fast._atomic_write import atomic_write
from vqe_fast.cli.progress_bar import progress_bar
from vqe_fast.data.prepared import prepare
from vqe_fast.data.sources import find_sources
from vqe_fast.data.spec import expand
from vqe_fast.training.card import measured_lines
from vqe_fast.training.gains import measure, summarise, write_csv
from vqe_fast.training.recipe import read_recipe
from vqe_fast.training.recipes import find_recipe
from vqe_fast.video.inference.strength import Strengths
from vqe_fast.weights import load_shipped, model_of_card, shipped_options, shipped_strengths

CARDS = Path(__file__).parents[1] / "vqe_fast" / "weights" / "weights.toml"


def main(name: str, folder: Path, cache: Path, rows_to: Path | None) -> None:
    """Measures, and replaces the table in ``weights.toml``."""
    recipe = read_recipe(find_recipe(f"shipped_{name}"))
    settings = expand(recipe.validation.report or recipe.data.degradations)
    sources = find_sources([folder], frames=recipe.validation.frames)
    with progress_bar("prepare") as progress:
        clips = prepare(sources, settings, cache, progress=progress).clips
    model = create_model(model_of_card(name), **shipped_options(name)).eval()
    load_shipped(model, name)
    with progress_bar("measure") as progress:
        rows = measure(
            model,
            clips,
            frame_step=recipe.validation.frame_step,
            strengths=Strengths(shipped_strengths(name)),
            progress=progress,
        )
    if rows_to:
        write_csv(rows, rows_to)
    table = "\n".join(measured_lines(name, summarise(rows))) + "\n"
    text = CARDS.read_text("utf-8")
    new = re.sub(rf"^\[{name}\.measured\]\n(.+\n)*", lambda _: table, text, flags=re.MULTILINE)
    with atomic_write(CARDS) as path:
        path.write_text(new, "utf-8")
    print(table, end="")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="a card: a model whose weights ship, or MODEL_sharp")
    parser.add_argument("folder", type=Path, help="pristine clips that it was not trained on")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="of degraded clips")
    parser.add_argument("--rows", type=Path, help="a .csv file for what each clip gains")
    arguments = parser.parse_args()
    main(arguments.name, arguments.folder, arguments.cache, arguments.rows)
