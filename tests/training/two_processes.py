"""What each process of the test with two of them runs: RECIPE_JSON OUTPUT."""

import json
import sys
from pathlib import Path

from support.held_clips import texture_pair
from vqe_fast.training.fabric import make_fabric
from vqe_fast.training.recipe import Recipe
from vqe_fast.training.train import train

if __name__ == "__main__":
    recipe, output = Recipe.model_validate_json(sys.argv[1]), Path(sys.argv[2])
    fabric = make_fabric("cpu")
    assert fabric.world_size == 2
    losses = []
    train(
        recipe,
        [texture_pair(seed=seed) for seed in range(2)],
        output,
        fabric=fabric,
        report=lambda report: losses.append(report.terms["charbonnier"]),
    )
    if fabric.is_global_zero:
        (output / "losses.json").write_text(json.dumps(losses))
