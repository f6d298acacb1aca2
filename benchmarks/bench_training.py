"""A training step of CAR-CNN: what the loss takes of it, and whether the loader keeps up.

The step with a sum in place of the loss, and a batch of the loader, are yardsticks: what the loss
takes is the difference, and the loader keeps up where its batch takes less than the step.
"""

import functools

import torch
from harness import BF16, Case, missing

from vqe_fast import create_model, ops, reference
from vqe_fast.bench.case import Candidate, Work

# Recipes and their batch; the paper's 128 take half a minute a step on a processor.
CASES = {"cpu": [("carcnn_small", None)], "cuda": [("carcnn_small", None), ("carcnn", 128)]}
NAMES = ("vqe_fast", "pytorch_msssim", "a sum for a loss", "loader")


def plan(device, tiny):
    cases = [("carcnn_small", 1)] if tiny else CASES[device]
    return [
        Case(recipe, NAMES, functools.partial(work, recipe, batch, device), 10.0, rotate=False)
        for recipe, batch in cases
    ]


def loss_named(name):
    if name == "vqe_fast":
        return ops.ssim_mse_loss
    if name == "pytorch_msssim":
        from pytorch_msssim import ssim

        return lambda x, y: 0.79 * (1 - ssim(x, y, data_range=1.0)) + 0.21 * (x - y).square().mean()
    return lambda x, y: x.sum()


def work(recipe_name, batch, device):
    from support.held_clips import texture_pair
    from vqe_fast.data.windows import WindowSampler
    from vqe_fast.training.recipe import read_recipe
    from vqe_fast.training.recipes import find_recipe

    recipe = read_recipe(find_recipe(recipe_name))
    patch, batch = recipe.data.patch, batch or recipe.data.batch
    clips = [texture_pair(frames=6, size=288)]
    sampler = WindowSampler(clips, planes="y", patch=patch, batch=batch)
    model = create_model(recipe.model, **recipe.options)
    model = model.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-9)

    def sample(number):
        drawn = sampler.draw(number, 0)
        return [x[:, 0].to(device).float() / 255 for x in (drawn.compressed, drawn.pristine)]

    def step(loss, images):
        compressed, pristine = images
        optimiser.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=recipe.precision != "fp32"):
            output = model(compressed)
        value = loss(output.float(), pristine)
        value.backward()
        optimiser.step()
        return value.detach()

    def error(name, call):
        """Of the loss; every step changes the weights by next to nothing."""
        if name == "a sum for a loss":
            return 0.0
        images = sample(0)
        exact = step(reference.ssim_mse_loss, images)
        return abs(call(images) / exact - 1).item()

    def candidate(name):
        if name == "loader":
            numbers = iter(range(1 << 30))
            return Candidate(
                name, "yardstick", lambda: lambda _: sampler.draw(next(numbers), 0), lambda _: 0.0
            )
        role = {"vqe_fast": "own", "pytorch_msssim": "alternative"}.get(name, "yardstick")
        problem = missing(name) if role == "alternative" else None
        check = functools.partial(error, name)
        return Candidate(
            name, role, lambda: functools.partial(step, loss_named(name)), check, problem
        )

    return Work(
        operator="training",
        case=f"step of {recipe_name}",
        shape=(batch, 1, patch, patch),
        dtype=BF16,
        direction="both",
        device=device,
        sample=sample,
        candidates=[candidate(name) for name in NAMES],
    )


def test_training(report, case, name):
    report(case, name)
