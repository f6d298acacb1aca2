"""A training step of CAR-CNN: what the loss takes of it, and whether the loader keeps up.

Run: ``pytest benchmarks/bench_training.py``. ``share_of_loss`` in the JSON is the part of the step
that goes when the loss is replaced by a sum; ``loader_to_step`` how many batches one thread of the
loader makes in the time of a step.
"""

import functools
from statistics import median

import pytest
import torch
from side_by_side import REPLAY, durations, installed, replayed

from support.held_clips import texture_pair
from vqe_fast import create_model, ops
from vqe_fast.training.recipe import read_recipe
from vqe_fast.training.recipes import find_recipe
from vqe_fast.training.windows import WindowSampler

pytestmark = replayed

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
BATCH = {"cpu": 8, "cuda": 128}
"""The paper's 128 take half a minute a step on a processor."""
LOSSES = ("vqe_fast", "pytorch_msssim", "a sum")
NAMES = (*LOSSES, "loader")


def loss_named(name):
    if name == "vqe_fast":
        return ops.ssim_mse_loss
    if name == "pytorch_msssim":
        from pytorch_msssim import ssim

        return lambda x, y: 0.79 * (1 - ssim(x, y, data_range=1.0)) + 0.21 * (x - y).square().mean()
    return lambda x, y: x.sum()


@functools.cache
def measured(recipe_name, device):
    """name → seconds of each call: steps with each loss, and a batch of the loader."""
    recipe = read_recipe(find_recipe(recipe_name))
    sampler = WindowSampler(
        [texture_pair(frames=6, size=288)],
        planes="y",
        patch=recipe.data.patch,
        batch=BATCH[device] if recipe_name == "carcnn" else recipe.data.batch,
    )
    batch = sampler.draw(0, 0)
    compressed, pristine = (
        x[:, 0].to(device).float() / 255 for x in (batch.compressed, batch.pristine)
    )
    model = create_model(recipe.model, **recipe.options)
    model = model.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-9)

    def step(loss):
        optimiser.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bf16"):
            output = model(compressed)
        loss(output.float(), pristine).backward()
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    steps = {
        name: functools.partial(step, loss_named(name))
        for name in LOSSES
        if name != "pytorch_msssim" or installed(name)
    }
    numbers = iter(range(1 << 30))
    steps["loader"] = lambda: sampler.draw(next(numbers), 0)
    return durations(steps)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("recipe", ("carcnn", "carcnn_small"))
def test_step(benchmark, recipe, name, device):
    times = measured(recipe, device)
    if name not in times:
        pytest.skip(f"{name} is not installed")
    benchmark.group = f"training step of {recipe} {device}"
    took = median(times[name])
    if name == "loader":
        benchmark.extra_info["loader_to_step"] = median(times["vqe_fast"]) / took
    else:
        benchmark.extra_info["share_of_loss"] = 1 - median(times["a sum"]) / took
    REPLAY.hand_over(benchmark, times[name])
