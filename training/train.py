"""The training loop: from degraded clips and a recipe to a file of weights."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vqe_fast import ops
from vqe_fast.models import create_model
from vqe_fast.training.loader import Loader
from vqe_fast.training.pairs import PairedClip
from vqe_fast.training.recipe import OptimiserRecipe, Recipe
from vqe_fast.training.windows import Batch, WindowSampler
from vqe_fast.weights import load_weights

WEIGHTS_NAME = "weights.safetensors"


def relative_charbonnier_loss(input: Tensor, target: Tensor, eps: float) -> Tensor:
    """Mean over the batch of the logarithm of each patch's Charbonnier loss.

    Halving a patch's error counts the same however small it was: the plain loss lets strongly
    compressed patches decide, and a network then harms those that need little.
    """
    per_patch = ops.charbonnier_loss(input, target, eps, "none").mean(dim=(1, 2, 3))
    return per_patch.log().mean()


LOSSES: dict[str, Callable[..., Tensor]] = {
    "charbonnier": ops.charbonnier_loss,
    "relative_charbonnier": relative_charbonnier_loss,
    "ssim_mse": ops.ssim_mse_loss,
}


@dataclass(frozen=True)
class Progress:
    """Where a run stands: the step just done, the loss since the last report, steps a second."""

    step: int
    loss: float
    rate: float


def train(
    recipe: Recipe,
    clips: Sequence[PairedClip],
    output: Path,
    *,
    device: torch.device | None = None,
    weights: Path | None = None,
    report: Callable[[Progress], None] | None = None,
) -> nn.Module:
    """Trains ``recipe.model`` and writes ``weights.safetensors`` into ``output``.

    A checkpoint, ``last.pt``, is written there every ``checkpoint_every`` steps; a run that finds
    one goes on from it and draws the same batches as an uninterrupted run.

    Args:
        recipe: the run.
        clips: the material.
        output: a folder, made if it does not exist.
        device: where to train; the CPU if not given.
        weights: a file of weights to start from.
        report: called every ``report_every`` steps.

    Returns:
        The exponential moving average of the model, in evaluation mode.

    Raises:
        FloatingPointError: the loss is not finite.
        WeightsError: ``weights`` are missing or do not fit.
    """
    device = device or torch.device("cpu")
    torch.manual_seed(recipe.seed)
    model = create_model(recipe.model, **recipe.options)
    if weights is not None:
        load_weights(model, weights)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.optimiser.ema)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.optimiser.rate)
    sampler = WindowSampler(clips, planes="y", patch=recipe.data.patch, batch=recipe.data.batch)
    output.mkdir(parents=True, exist_ok=True)
    checkpoint = output / "last.pt"
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]

    losses: list[float] = []
    since = time.perf_counter()
    with Loader(sampler, recipe.seed, start, recipe.optimiser.steps) as loader:
        for step, batch in enumerate(loader, start):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe.optimiser, step)
            loss = _loss(recipe, model, batch, device)
            if not math.isfinite(loss.item()):
                raise FloatingPointError(
                    f"the loss of step {step} is {loss.item()}: lower the rate"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.optimiser.clip_norm)
            optimiser.step()
            average.update_parameters(model)
            losses.append(loss.item())
            done = step + 1
            if report is not None and done % recipe.report_every == 0:
                now = time.perf_counter()
                report(Progress(done, sum(losses) / len(losses), len(losses) / (now - since)))
                losses, since = [], now
            if done % recipe.checkpoint_every == 0 and done < recipe.optimiser.steps:
                state = {
                    "step": done,
                    "model": model.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                }
                _replace(checkpoint, lambda path: torch.save(state, path))  # noqa: B023
    averaged: nn.Module = average.module.eval()
    save_weights(averaged, output / WEIGHTS_NAME)
    return averaged


def learning_rate(recipe: OptimiserRecipe, step: int) -> float:
    """Linear warm-up, then a half cosine down to zero at the last step."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.rate * (1 + math.cos(math.pi * done)) / 2


def save_weights(model: nn.Module, path: Path) -> None:
    """Writes the state dict in float16: half the size, far below the noise of the training."""
    state = {key: value.to("cpu", torch.float16) for key, value in model.state_dict().items()}
    state = {key: value.contiguous() for key, value in state.items()}
    _replace(path, lambda partial: save_file(state, partial))


def _loss(recipe: Recipe, model: nn.Module, batch: Batch, device: torch.device) -> Tensor:
    reduced = recipe.precision == "bf16"
    compressed, pristine = (
        windows[:, 0].to(device).float() / 255 for windows in (batch.compressed, batch.pristine)
    )
    with torch.autocast(compressed.device.type, torch.bfloat16, enabled=reduced):
        enhanced = model(compressed.contiguous(memory_format=torch.channels_last))
    return LOSSES[recipe.loss](enhanced.float(), pristine, **recipe.loss_options)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)
