"""What the test of killed runs starts: RECIPE_JSON OUTPUT [STEP to be killed after]."""

import os
import signal
import sys
from pathlib import Path

from support.held_clips import texture_pair
from vqe_fast.training.fabric import make_fabric
from vqe_fast.training.learner import Average
from vqe_fast.training.recipe import Recipe
from vqe_fast.training.train import train

if __name__ == "__main__":
    left = int(sys.argv[3]) if len(sys.argv) > 3 else -1
    update = Average.update

    def update_or_die(average):
        """Dies after the weights have changed and before they are saved."""
        global left
        update(average)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    Average.update = update_or_die
    train(
        Recipe.model_validate_json(sys.argv[1]),
        [texture_pair(seed=seed) for seed in range(2)],
        Path(sys.argv[2]),
        fabric=make_fabric("cpu"),
    )
