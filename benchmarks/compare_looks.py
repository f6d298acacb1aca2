"""Compares two ways from faithful to sharp: weights interpolated, and outputs blended.

Run: ``python benchmarks/compare_looks.py CLIPS --output FOLDER``, with ``--sharp FILE`` for weights
that do not ship yet. ``--look`` interpolates weights, which costs what one network does; blending
outputs costs twice that. All of each correction is applied, whatever the cards say.
"""

import argparse
import copy
from pathlib import Path

from torch import Tensor, nn

from vqe_fast import create_model
from vqe_fast.cli.progress_bar import progress_bar
from vqe_fast.evaluation import evaluate, write_results
from vqe_fast.evaluation.tables import summary
from vqe_fast.models import spec_of
from vqe_fast.weights import interpolate, load_shipped, load_weights, sharp_card

SETTINGS = [
    {"codec": "libx264", "mode": "crf", "values": [35]},
    {"codec": "libx265", "mode": "qp", "values": [37]},
]
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


class BlendedOutputs(nn.Module):
    """What two models make of a frame, blended."""

    def __init__(self, faithful: nn.Module, sharp: nn.Module, strength: float) -> None:
        super().__init__()
        self.faithful, self.sharp, self.strength = faithful, sharp, strength
        self.spec = spec_of(faithful)

    def forward(self, frames: Tensor, *told: float | Tensor) -> Tensor:
        """Both outputs, and what lies between them; arguments and result as of the models."""
        return self.faithful(frames, *told).lerp(self.sharp(frames, *told), self.strength)


def looks(name: str, weights: Path | None) -> dict[str, nn.Module]:
    """A model for each strength and way; both ways meet at the ends."""
    faithful = create_model(name, pretrained=True).eval()
    sharp = copy.deepcopy(faithful)
    if weights is None:
        load_shipped(sharp, sharp_card(name))
    else:
        load_weights(sharp, weights)
    found = {}
    for strength in STRENGTHS:
        between = copy.deepcopy(faithful)
        interpolate(between, sharp, strength)
        found[f"weights {strength:g}"] = between
        if 0 < strength < 1:
            found[f"outputs {strength:g}"] = BlendedOutputs(faithful, sharp, strength)
    return found


def main(arguments: argparse.Namespace) -> None:
    """Measures, writes all tables into the folder, and prints the means."""
    with progress_bar("measure") as progress:
        found = evaluate(
            [arguments.clips],
            looks(arguments.model, arguments.sharp),
            SETTINGS,
            output=arguments.output,
            frames=arguments.frames,
            metrics=arguments.metrics.split(",") if arguments.metrics else (),
            progress=progress,
        )
    write_results(found, arguments.output)
    print(summary(found, found.tables).to_markdown())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, help="a folder of pristine clips")
    parser.add_argument("--output", type=Path, required=True, help="a folder for the tables")
    parser.add_argument("--model", default="dualres_s", help="whose weights ship")
    parser.add_argument("--sharp", type=Path, help="a .safetensors file that does not ship yet")
    parser.add_argument("--frames", type=int, default=12, help="of each clip, at most")
    parser.add_argument("--metrics", default="vmaf,efficientnet_distance", help="of evaluate")
    main(parser.parse_args())
