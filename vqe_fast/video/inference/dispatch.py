"""Dispatch by kind of model: its runner, and an example of its input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqe_fast.models.registry import ModelSpec, spec_of
from vqe_fast.video.inference.memory_plan import Plan
from vqe_fast.video.inference.multithreaded import ConcurrentRunner
from vqe_fast.video.inference.recurrent import RecurrentRunner
from vqe_fast.video.inference.runner import Runner
from vqe_fast.video.inference.single_frame import SingleRunner
from vqe_fast.video.inference.sliding_window import WindowedRunner
from vqe_fast.video.inference.streaming import StreamedRunner, has_stream

_PAN = 2  # pixels from frame to frame of what stands for a clip before there is one


def find_runner(model: nn.Module, plan: Plan) -> Runner:
    """The runner for ``model``, which is ready to run."""
    spec = spec_of(model)
    if has_stream(model):
        return StreamedRunner(model, plan.tiling, plan.clip_frames)
    if spec.recurrent:
        return RecurrentRunner(model, plan.tiling, plan.clip_frames)
    if not spec.temporal_radius:
        if plan.at_once > 1:
            return ConcurrentRunner(model, plan.tiling, plan.at_once)
        return SingleRunner(model, plan.tiling, plan.batch)
    return WindowedRunner(model, plan.tiling)


def example_of(spec: ModelSpec, values: Tensor, frames: int) -> Tensor:
    """An example input of a model, made from one frame: a camera that pans over it.

    Args:
        spec: of the model.
        values: of the frame, (B, C, H, W).
        frames: of a clip; it matters to a recurrent model alone.

    Returns:
        (B, C, H, W), or (B, T, C, H, W) for a model that sees several frames together.
    """
    if spec.recurrent:
        return torch.stack([values.roll(_PAN * n, -1) for n in range(frames)], dim=1)
    if spec.temporal_radius:
        return torch.stack([values] * (2 * spec.temporal_radius + 1), dim=1)
    return values
