"""Speed of models on frames of one size, in frames per second, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from vqe_fast._precision import Precision
from vqe_fast.bench.record import quantile
from vqe_fast.bench.timing import Step, durations, seconds_of
from vqe_fast.models import spec_of
from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.inference import prepare_inference

_QP = 32.0
_CLIP = 5


@dataclass(frozen=True)
class ModelSpeed:
    """Speed of a model.

    Attributes:
        name: of the model.
        fps: frames per second, by the median of the calls.
        slow: by the slowest fifth of the calls.
        fast: by the fastest fifth.
    """

    name: str
    fps: float
    slow: float
    fast: float


def model_speeds(
    models: Mapping[str, nn.Module],
    size: tuple[int, int],
    *,
    device: str,
    precision: Precision,
    budget: float,
) -> list[ModelSpeed]:
    """Times models in turns as the pipeline runs them, without decoder and encoder.

    A model with a stream is given frame after frame, a recurrent one clips of five. Weights do not
    matter, nor what frames show: they are random.

    Args:
        models: name → registered model.
        size: height and width of the frames.
        device: ``"cpu"`` or ``"cuda"``.
        precision: of the weights.
        budget: seconds for all together, roughly; 0 for a single call of each.

    Returns:
        In the order of ``models``.

    Raises:
        PreparationError: a model does not run in that precision.
    """
    calls = {
        name: _call(model, size, torch.device(device), precision) for name, model in models.items()
    }
    steps = {name: step for name, (step, _) in calls.items()}
    took = {name: _warm(step, device) for name, step in steps.items()}
    timed = durations(steps, took, device, budget)
    return [_speed(name, frames, timed[name]) for name, (_, frames) in calls.items()]


def _call(
    model: nn.Module, size: tuple[int, int], device: torch.device, precision: Precision
) -> tuple[Step, int]:
    """A call, and how many frames it enhances."""
    ready, _ = prepare_inference(model, device=device, precision=precision)
    spec = spec_of(ready)
    together = _CLIP if spec.recurrent else 2 * spec.temporal_radius + 1
    frames = torch.rand(1, together, 1 if spec.planes == "y" else 3, *size, device=device)
    told: list[float | Tensor] = [_QP] if spec.takes_qp else []
    if spec.takes_coding:
        told += [torch.full((1,), UNKNOWN, device=device)] * 2
    if spec.recurrent:
        return partial(_inferred, ready, frames, *told), _CLIP
    if together > 1 and hasattr(ready, "stream"):
        stream = ready.stream()  # type: ignore[operator]
        for frame in frames.unbind(1):
            _inferred(stream.push, frame, *told)
        return partial(_inferred, stream.push, frames[:, 0], *told), 1
    return partial(_inferred, ready, frames if together > 1 else frames[:, 0], *told), 1


@torch.inference_mode()
def _inferred(run: Callable[..., object], *inputs: Tensor | float) -> object:
    return run(*inputs)


def _warm(step: Step, device: str) -> float:
    """Seconds of a call after a first one."""
    step()
    return seconds_of(step, 1, device)[0]


def _speed(name: str, frames: int, seconds: list[float]) -> ModelSpeed:
    middle, slow, fast = (frames / quantile(seconds, share) for share in (0.5, 0.8, 0.2))
    return ModelSpeed(name, middle, slow, fast)
