"""Precision and number of threads of a run, chosen by timing steps on the machine at hand."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from vqe_fast._atomic_write import atomic_write
from vqe_fast.models import spec_of
from vqe_fast.training.recipe import Recipe

Precision = Literal["fp32", "bf16"]

_FILE = "pace.json"
_THREADS_PAY = 1.3
"""Times as fast that all threads must be: with other work beside, they wait for each other."""
_SECONDS = 2.0
_ROUNDS = 3
_BATCH = 8
_FRAMES = 3


@dataclass(frozen=True)
class Pace:
    """Precision and threads of a run, kept when it is resumed, so that results are the same.

    Attributes:
        precision: of the forward passes.
        threads: of the CPU.
        seconds: what a step of a few windows took, for each choice that was tried, such as
            ``"bf16, 1 thread"``.
    """

    precision: Precision
    threads: int
    seconds: dict[str, float]


def pace_of(recipe: Recipe, output: Path, model: nn.Module, device: torch.device) -> Pace:
    """The pace of the run in ``output``, or the fastest now.

    One thread is taken unless all are 1.3 times as fast. Threads that ``OMP_NUM_THREADS`` names
    are kept. Of several processes each has one thread's settings from its launcher, and they take
    bfloat16.

    Args:
        recipe: of the run.
        output: its folder, where :func:`keep_pace` puts the choice.
        model: that is to be trained.
        device: where.
    """
    path = output / _FILE
    if path.exists():
        return Pace(**json.loads(path.read_text("utf-8")))
    fixed: Precision | None = None if recipe.precision == "auto" else recipe.precision
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return Pace(fixed or "bf16", torch.get_num_threads(), {})
    return _fastest(recipe, model, device, fixed)


def keep_pace(pace: Pace, output: Path) -> None:
    """Writes the pace of the run in ``output``, for when it is resumed."""
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(output / _FILE) as draft:
        draft.write_text(json.dumps(asdict(pace)), "utf-8")


def _fastest(
    recipe: Recipe, model: nn.Module, device: torch.device, fixed: Precision | None
) -> Pace:
    before = torch.get_num_threads()
    precisions: list[Precision] = ["fp32", "bf16"] if fixed is None else [fixed]
    counts = [before]
    if device.type == "cpu" and before > 1 and "OMP_NUM_THREADS" not in os.environ:
        counts = [1, before]
    if len(precisions) * len(counts) == 1:
        return Pace(precisions[0], before, {})
    times = {
        (precision, threads): _seconds(recipe, model, device, precision, threads)
        for threads in counts
        for precision in precisions
    }
    torch.set_num_threads(before)
    best = {threads: min(precisions, key=lambda p: times[p, threads]) for threads in counts}
    one, all_ = counts[0], counts[-1]
    pays = times[best[one], one] > _THREADS_PAY * times[best[all_], all_]
    threads = all_ if pays else one
    seconds = {f"{p}, {n} thread{'s' * (n > 1)}": round(t, 4) for (p, n), t in times.items()}
    return Pace(best[threads], threads, seconds)


def _seconds(
    recipe: Recipe, model: nn.Module, device: torch.device, precision: Precision, threads: int
) -> float:
    """Best of a few passes forward and backward, after one that does not count."""
    torch.set_num_threads(threads)
    arguments = _example(recipe, model, device)
    times: list[float] = []
    while len(times) <= _ROUNDS and sum(times) < _SECONDS:
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            output = model(*arguments)
        output.float().square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
        model.zero_grad(set_to_none=True)
    return min(times[1:] or times)


def _example(recipe: Recipe, model: nn.Module, device: torch.device) -> list[torch.Tensor]:
    """Random windows, a few of a batch, and typical QPs."""
    spec, data = spec_of(model), recipe.data
    length = min(data.window, _FRAMES) if spec.recurrent else 2 * spec.temporal_radius + 1
    count = min(data.batch, _BATCH)
    channels = 1 if spec.planes == "y" else 3
    frames = torch.rand(count, length, channels, data.patch, data.patch, device=device)
    if not spec.recurrent and not spec.temporal_radius:
        frames = frames[:, 0]
    return [frames, torch.full((count,), 32.0, device=device)] if spec.takes_qp else [frames]
