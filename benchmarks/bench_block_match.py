"""Block matching against OpenCV's optical flow, and warping against plain PyTorch.

Frames are textures that move; or two frames of a clip, those at the beginning, which
``VQE_FAST_BENCH_CLIP`` names. The warp error of a row is the mean absolute difference of luma, in
steps of 1/255, between the frame and the reference after warping: by vectors of blocks for ours, by
the flow of every pixel for OpenCV's, both bicubic.
"""

import functools
import os
from pathlib import Path

import torch
from harness import FP32, Case, cases, missing
from opencv_flow import Flow, follow, in_bytes

from vqe_fast import ops, reference
from vqe_fast.bench.case import Candidate, Sample, Work, relative_error
from vqe_fast.bench.operators.block_match import block_warp, moving_textures

MATCHED = ("vqe_fast", "opencv DIS", "opencv Farnebäck")
WARPED = ("vqe_fast", "eager", "torch.compile")
LUMA, FEATURES = (1, 1, 1080, 1920), (1, 64, 270, 480)
# Shape, what, its option (side of the blocks, or cell), direction, seconds, implementations.
CASES = {
    "cpu": [
        (LUMA, "match", 8, "forward", 8.0, MATCHED),
        (LUMA, "match", 4, "forward", 8.0, MATCHED),
        (LUMA, "warp", 1, "forward", 2.0, WARPED),
        (LUMA, "warp", 1, "both", 3.0, WARPED),
        (FEATURES, "warp", 4, "forward", 2.0, WARPED),
        (FEATURES, "warp", 4, "both", 3.0, WARPED),
    ],
    "cuda": [
        (LUMA, "match", 8, "forward", 1.0, MATCHED[:1]),
        (LUMA, "match", 4, "forward", 1.0, MATCHED[:1]),
        (LUMA, "warp", 1, "both", 1.0, WARPED),
        (FEATURES, "warp", 4, "both", 1.0, WARPED),
    ],
}
TINY = (1, 1, 48, 56)
CLIP = "VQE_FAST_BENCH_CLIP"


def plan(device, tiny):
    return [
        Case(
            f"{what} {shape} {option} {direction}",
            names,
            functools.partial(work, what, shape, option, direction, device),
            budget,
        )
        for shape, what, option, direction, budget, names in cases(CASES, device, tiny and TINY)
    ]


def work(what, shape, option, direction, device):
    if what == "match":
        return matching(shape, option, device)
    function = block_warp(shape, FP32, device, direction, cell=option)
    return function.work(function.usual())


def matching(shape, block_size, device):
    """A frame that is looked up in its reference."""

    clip = os.environ.get(CLIP)

    @functools.cache
    def sample(number):
        frames = frames_of(Path(clip)) if clip else moving_textures(number, *shape[2:])
        return Sample(tuple(luma.to(device) for luma in frames))

    def call(sample):
        return ops.block_match(*sample.arguments, block_size=block_size)[0]

    def error(call):
        part = Sample(tuple(luma[..., :270, :480].contiguous() for luma in sample(0).arguments))
        vectors, _ = reference.block_match(*part.arguments, block_size=block_size)
        return relative_error([call(part).float()], [vectors.float()])

    def warp_error(call):
        frame, other = sample(0).arguments
        warped = ops.block_warp(other, call(sample(0)), block_size=block_size)
        return difference(frame, warped)

    own = Candidate("vqe_fast", "own", lambda: call, error, warp_error=warp_error)
    others = [with_opencv(sample, method) for method in ("DIS", "Farnebäck") if device == "cpu"]
    return Work(
        operator="block_match",
        case=f"block_match, blocks of {block_size}×{block_size}",
        shape=tuple(sample(0).arguments[0].shape) if clip else shape,
        dtype=FP32,
        direction="forward",
        device=device,
        sample=sample,
        candidates=[own, *others],
        frames=1,
    )


def with_opencv(sample, method):
    def prepare(sample):
        return [in_bytes(luma) for luma in sample.arguments]

    def warp_error(call):
        frame, other = sample(0).arguments
        return difference(frame, follow(other, torch.from_numpy(call(prepare(sample(0))))))

    def error(call):
        """For one of standing still; it finds something else than blocks."""
        return warp_error(call) / difference(*sample(0).arguments)

    return Candidate(
        f"opencv {method}",
        "alternative",
        lambda: Flow(method),
        error,
        missing("cv2"),
        prepare,
        tolerance=1.0,
        warp_error=warp_error,
    )


def difference(one, other):
    """Mean absolute difference in steps of 1/255."""
    return 255 * (one - other).abs().mean().item()


def frames_of(path):
    """The first two frames of a clip: the second is looked up in the first."""
    from vqe_fast.data.clips import read_clip
    from vqe_fast.video.frames.planes import luma_view

    frames = [torch.tensor(luma_view(frame)) for frame in read_clip(path, 2).frames]
    first, second = (frame[None, None].float() / 255 for frame in frames)
    return second, first


def test_block_match(report, case, name):
    report(case, name)
