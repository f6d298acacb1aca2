"""Models on whole frames of clips, as users will run them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from vqe_fast.models import spec_of
from vqe_fast.training.color import Samples
from vqe_fast.training.pairs import PairedClip

_SEGMENT = 16
"""Frames that a recurrent model sees together."""


@torch.inference_mode()
def restored_frames(
    model: nn.Module,
    clip: PairedClip,
    setting: str,
    numbers: Sequence[int],
    *,
    device: torch.device,
    qp: Literal["frame", "base"] = "frame",
) -> Iterator[Samples]:
    """Runs ``model`` over some frames of a degraded version of a clip.

    Neighbours lie in the same scene; at its ends they are the frame itself. Recurrent models see
    scenes in segments of 16 frames.

    Args:
        model: a registered model on ``device``.
        clip: the pair.
        setting: which version of it.
        numbers: of the frames, ascending.
        device: where the model is.
        qp: which QP a model is told that takes one.

    Yields:
        (C, H, W) uint8 for each frame asked for, rounded as a file would be.

    Raises:
        ValueError: the QP of a frame is not known.
    """
    spec = spec_of(model)
    samples = clip.compressed(spec.planes, setting)
    if spec.planes == "y":
        samples = samples[:, None]
    for scene in clip.scenes(setting):
        wanted = [number for number in numbers if number in scene]
        if spec.recurrent:
            yield from _recurrent(model, samples, scene, wanted, device)
            continue
        for number in wanted:
            around = range(number - spec.temporal_radius, number + spec.temporal_radius + 1)
            window = [min(max(n, scene.start), scene.stop - 1) for n in around]
            frames = _values(samples[window], device)[None]
            if len(window) == 1:
                frames = frames[:, 0]
            arguments = [torch.tensor([_qp_of(clip, setting, number, qp)])] if spec.takes_qp else []
            yield _bytes(model(frames, *arguments)[0])


def _recurrent(
    model: nn.Module, samples: Samples, scene: range, wanted: Sequence[int], device: torch.device
) -> Iterator[Samples]:
    for start in range(scene.start, scene.stop, _SEGMENT):
        segment = range(start, min(start + _SEGMENT, scene.stop))
        chosen = [number for number in wanted if number in segment]
        if chosen:
            frames = _values(samples[segment.start : segment.stop], device)[None]
            output = model(frames)[0]
            yield from (_bytes(output[number - start]) for number in chosen)


def _qp_of(clip: PairedClip, setting: str, number: int, qp: Literal["frame", "base"]) -> float:
    known = clip.base_qp(setting) if qp == "base" else float(clip.qp(setting)[number])
    if np.isnan(known):
        raise ValueError(f"the {qp} QP of {setting} of {clip.name} is not known")
    return known


def _values(samples: Samples, device: torch.device) -> Tensor:
    return torch.tensor(samples).to(device).float() / 255


def _bytes(frame: Tensor) -> Samples:
    rounded: Samples = (frame * 255).round().clamp(0, 255).byte().cpu().numpy()
    return rounded
