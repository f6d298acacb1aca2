"""Dispatch by kind of model: its runner."""

from __future__ import annotations

from torch import nn

from vqe_fast.models.registry import spec_of
from vqe_fast.video.inference.memory_plan import Plan
from vqe_fast.video.inference.multithreaded import ConcurrentRunner
from vqe_fast.video.inference.recurrent import RecurrentRunner
from vqe_fast.video.inference.runner import Runner
from vqe_fast.video.inference.single_frame import SingleRunner
from vqe_fast.video.inference.sliding_window import WindowedRunner
from vqe_fast.video.inference.streaming import StreamedRunner, has_stream


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
