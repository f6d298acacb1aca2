"""Memory plan: tile size, batch size and clip length that fit into the memory there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vqe_fast._memory import available_memory, in_words
from vqe_fast.models.example import coding_of_example
from vqe_fast.models.registry import ModelSpec, spec_of
from vqe_fast.video.errors import VideoError
from vqe_fast.video.inference.memory import memory_taken, parse_bytes
from vqe_fast.video.inference.recurrent import SHORTEST
from vqe_fast.video.inference.streaming import has_stream
from vqe_fast.video.inference.tiling import SMALLEST_TILE, Tiling, is_exact
from vqe_fast.video.options import ModelOptions

LONGEST = 48
"""Frames of a clip where memory allows: a third of the work is done twice."""

LONGEST_OF_A_STREAM = 24
"""Frames that a stream sees from one on where memory allows: a quarter of what comes from behind is
done twice, which is a small part of all."""

_SHARE = 0.8
"""Of the memory that is free; kernels need some that cannot be foreseen."""

_LAVISH = 32 << 10
"""Bytes a pixel of one frame, or of the longest clip, that suffice for every model here."""

_SCRATCH = 1.5
"""Times the tensors: kernels take memory of their own, up to half as much (deconvolution)."""

_PROBE_SIDE = 128
_BATCH_PIXELS = 1 << 21
_LARGEST_BATCH = 8
_MOST_AT_ONCE = 4


@dataclass
class Plan:
    """Tiling, batch size, frames at once and clip length of a model.

    Attributes:
        tiling: how frames are cut.
        batch: frames of one call, for a model that sees one.
        at_once: frames of calls that run beside each other, for a model that sees one.
        clip_frames: frames of a clip, for a recurrent model.
    """

    tiling: Tiling
    batch: int
    at_once: int
    clip_frames: int


def make_plan(
    model: nn.Module,
    example: Callable[[int], Tensor],
    size: tuple[int, int],
    device: torch.device,
    options: ModelOptions,
    processes: int = 1,
) -> Plan:
    """Chooses tiling, batch size and clip length that fit into memory.

    Memory is measured on a corner of a frame of 128×128 pixels, and only if there is so little of
    it, or the frames are so large, that it could matter.

    Args:
        model: ready to run.
        example: number of frames of a clip → what the model takes, (B, ..., h, w), of a corner of
            the B pictures of a frame; the number matters to a recurrent model alone.
        size: height and width of the pictures.
        device: where the model is.
        options: tile, memory and frames of a clip; None for what suits the memory.
        processes: how many run the model on the same device.

    Raises:
        VideoError: an option is out of range, or what it asks for does not fit into memory.
    """
    spec = spec_of(model)
    if options.clip_frames is not None and not spec.recurrent:
        raise VideoError("a clip length was given, but the model is not recurrent; leave it out")
    tiling = Tiling(spec, size, options.tile)
    if options.max_memory is None:
        budget = int(_SHARE * available_memory(device)) // processes
    else:
        budget = parse_bytes(options.max_memory) // processes
    is_strict = options.max_memory is not None or device.type != "cuda"

    def taken(frames: int) -> float:
        """Bytes a pixel of a frame, or of each of its fields together."""
        corner = example(frames)[..., :_PROBE_SIDE, :_PROBE_SIDE]
        with torch.inference_mode():
            total = memory_taken(lambda: run(corner), device)
        return max(_SCRATCH * total / (corner.shape[-2] * corner.shape[-1]), 1)

    def run(frames: Tensor) -> object:
        return model(frames, *coding_of_example(spec, frames))

    pixels = tiling.window_pixels(tiling.tile)
    longest = LONGEST_OF_A_STREAM if has_stream(model) else LONGEST
    clip_frames = options.clip_frames or longest
    batch, at_once = _batch(spec, pixels, device), _at_once(spec, device)
    if pixels * len(example(1)) * _LAVISH * batch * at_once <= budget:
        return Plan(tiling, batch, at_once, clip_frames)
    if spec.recurrent:
        least, more = taken(SHORTEST // 2), taken(SHORTEST)
        a_frame = (more - least) / (SHORTEST - SHORTEST // 2)
        fitting = SHORTEST + int((budget / pixels - more) / max(a_frame, 1e-9))
        clip_frames = options.clip_frames or max(SHORTEST, min(longest, fitting))
        needed = (more + a_frame * (clip_frames - SHORTEST)) * pixels
    else:
        a_pixel = taken(1)
        fitting = max(1, int(budget / (a_pixel * pixels)))
        batch, at_once = min(batch, fitting), min(at_once, fitting)
        if is_exact(spec) and options.tile is None:
            tiling = _fitting(tiling, spec, size, budget / a_pixel)
        needed = a_pixel * tiling.window_pixels(tiling.tile)
    if needed > budget and is_strict:
        raise VideoError(_too_little(tiling, spec, needed, budget))
    return Plan(tiling, batch, at_once, clip_frames)


def _batch(spec: ModelSpec, pixels: int, device: torch.device) -> int:
    """Small frames leave a GPU idle; a CPU is busy with one."""
    if device.type != "cuda" or spec.recurrent or spec.temporal_radius:
        return 1
    return max(1, min(_LARGEST_BATCH, _BATCH_PIXELS // pixels))


def _at_once(spec: ModelSpec, device: torch.device) -> int:
    """The cores of a CPU do more apart than together; a GPU is one."""
    if device.type != "cpu" or spec.recurrent or spec.temporal_radius:
        return 1
    cores = torch.get_num_threads()
    counts = range(min(_MOST_AT_ONCE, cores), 1 if cores > 1 else 0, -1)
    return min(counts, key=lambda frames: cores % frames)  # each gets as many cores as the others


def _fitting(tiling: Tiling, spec: ModelSpec, size: tuple[int, int], pixels: float) -> Tiling:
    """The largest tiles whose windows have at most so many pixels, or the smallest there are."""
    if tiling.window_pixels(None) <= pixels:
        return tiling
    tile = max(size)
    while tile > SMALLEST_TILE and tiling.window_pixels(tile) > pixels:
        tile -= max(tile // 16, 1)
    return Tiling(spec, size, max(tile - tile % spec.alignment, SMALLEST_TILE))


def _too_little(tiling: Tiling, spec: ModelSpec, needed: float, budget: int) -> str:
    what = "whole frames" if tiling.tile is None else f"tiles of {tiling.tile} pixels"
    advice = "allow more"
    if not is_exact(spec):
        advice += ", or ask for (smaller) tiles, which change the result a little"
    return (
        f"the model needs about {in_words(needed)} for {what}, where {in_words(budget)} "
        f"may be used; {advice}"
    )
