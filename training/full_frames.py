"""Inference on whole frames of clips, as ``vqe-fast enhance`` does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Literal

import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor, nn

from vqe_fast.data.color import Samples, split_planes
from vqe_fast.data.pairs import PairedClip
from vqe_fast.models import spec_of
from vqe_fast.models.coding import UNKNOWN
from vqe_fast.models.example import CORNER, example_of
from vqe_fast.models.registry import ModelSpec, Planes
from vqe_fast.video.frames.model_input import PlanesView
from vqe_fast.video.inference.dispatch import find_runner
from vqe_fast.video.inference.frame_coding import FrameCoding
from vqe_fast.video.inference.memory_plan import make_plan
from vqe_fast.video.inference.runner import InputFrame, Runner
from vqe_fast.video.inference.strength import Strengths
from vqe_fast.video.options import ModelOptions
from vqe_fast.video.pipeline.enhancer import STILL

_FORMATS: dict[Planes, str] = {"y": "gray", "rgb": "gbrp", "yuv": "yuv420p"}
"""Pixel formats with as many planes, of these sizes."""


@torch.inference_mode()
def restored_frames(
    model: nn.Module,
    clip: PairedClip,
    setting: str,
    numbers: Sequence[int],
    *,
    device: torch.device,
    qp: Literal["frame", "base"] = "frame",
    strengths: Strengths | None = None,
) -> Iterator[Samples]:
    """Restores some frames of a degraded version of a clip.

    They are what :func:`vqe_fast.enhance_video` makes with the same module, but for two things:
    scenes are those of the pristine clip, and a model that could be told the QP of each block is
    told their mean. No more is computed than these frames, their neighbours for a model that sees
    some, and whole scenes for a recurrent one.

    Args:
        model: ready to run, on ``device``.
        clip: the pair.
        setting: which version of it.
        numbers: of the frames, ascending.
        device: where the model is.
        qp: which QP a model is told that takes one.
        strengths: how much of its corrections is applied; None for all.

    Yields:
        Each frame asked for, uint8, as :meth:`PairedClip.compressed` has it.

    Raises:
        ValueError: the QP of a frame is not known, or memory does not suffice.
    """
    spec, size = spec_of(model), clip.shape[1:]
    samples = clip.compressed(spec.planes, setting)
    view = PlanesView(VideoFrame(size[1], size[0], _FORMATS[spec.planes]))
    strengths = strengths or Strengths({})
    is_told = spec.takes_qp or strengths.is_needed
    coding_of = _codings(clip, setting, qp, strengths) if is_told else lambda number: None

    def planes_of(number: int) -> list[Tensor]:
        frame = samples[number]
        parts = split_planes(frame, *size) if spec.planes == "yuv" else frame.reshape(-1, *size)
        return [torch.tensor(part, device=device)[None, None] for part in parts]

    wanted = set(numbers)
    steps = [
        step
        for stretch in _stretches(samples, clip.scenes(setting))
        for step in _needed(stretch, wanted, spec)
    ]
    if not steps:
        return
    waiting: deque[tuple[range, InputFrame]] = deque()

    def enhanced() -> Iterator[Tensor]:
        example = view.values(planes_of(steps[0][0].start))
        with closing(_runner(model, example)) as runner:
            for frames, begins in steps:
                number = frames.start
                frame = InputFrame(planes_of(number), view, coding_of(number), begins)
                waiting.append((frames, frame))
                yield from runner.push(frame)
            yield from runner.flush()

    for result in enhanced():
        frames, seen = waiting.popleft()
        planes = view.samples(seen.planes, seen.with_strength(result))
        restored = torch.cat([plane.flatten() for plane in planes]).cpu().numpy()
        yield from (restored.reshape(samples.shape[1:]) for number in frames if number in wanted)


def _stretches(samples: Samples, scenes: Sequence[range]) -> Iterator[list[range]]:
    """Frames that are seen together; those that repeat the one before count as one with it.

    A stretch ends with its scene, or with a still.
    """
    for scene in scenes:
        stretch: list[range] = []
        for number in scene:
            if stretch and np.array_equal(samples[number], samples[number - 1]):
                stretch[-1] = range(stretch[-1].start, number + 1)
                continue
            if stretch and len(stretch[-1]) > STILL:
                yield stretch
                stretch = []
            stretch.append(range(number, number + 1))
        yield stretch


def _needed(
    stretch: Sequence[range], wanted: set[int], spec: ModelSpec
) -> Iterator[tuple[range, bool]]:
    """What of a stretch a model must see, and whether the frames before it are not seen."""
    places = [place for place, frames in enumerate(stretch) if not wanted.isdisjoint(frames)]
    reach = len(stretch) if spec.recurrent else spec.temporal_radius
    needed = {
        near
        for place in places
        for near in range(max(place - reach, 0), min(place + reach + 1, len(stretch)))
    }
    for place in sorted(needed):
        yield stretch[place], place - 1 not in needed


def _runner(model: nn.Module, values: Tensor) -> Runner:
    """What fits into memory for frames like this one, (1, C, H, W)."""
    spec, corner = spec_of(model), values[..., :CORNER, :CORNER]
    plan = make_plan(
        model,
        lambda frames: example_of(spec, corner, frames),
        (values.shape[-2], values.shape[-1]),
        values.device,
        ModelOptions(),
    )
    return find_runner(model, plan)


def _codings(
    clip: PairedClip, setting: str, qp: Literal["frame", "base"], strengths: Strengths
) -> Callable[[int], FrameCoding]:
    """Number of a frame → what a model is told of it; its type goes with its own QP alone."""
    codec, types = clip.coding(setting)
    base, qps = clip.base_qp(setting), clip.qp(setting)

    def of(number: int) -> FrameCoding:
        known = base if qp == "base" else float(qps[number])
        if np.isnan(known):
            raise ValueError(f"the {qp} QP of {setting} of {clip.name} is not known")
        kind = UNKNOWN if qp == "base" else int(types[number])
        strength = strengths.of(codec, known)
        return FrameCoding(known, codec=codec, frame_type=kind, strength=strength)

    return of
