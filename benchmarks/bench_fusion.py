"""ASTF's fusion of two enhancements, against plain PyTorch and OpenCV with NumPy.

OpenCV gets its frames as it likes them, interleaved.
"""

import functools

from harness import FP32, Case, cases, missing
from opencv_fusion import OpenCV, interleaved, planar

from vqe_fast import nn, reference
from vqe_fast.bench.case import Candidate, Sample, Work, relative_error
from vqe_fast.bench.functions import random_tensors
from vqe_fast.bench.operators.fusion import SHARPEN, fusion, variance

USUAL = ("vqe_fast", "eager", "torch.compile")
WITH_OPENCV = (*USUAL, "opencv")
WITHOUT_COMPILER = ("vqe_fast", "eager", "opencv")
FRAME, BATCH = (1, 3, 1080, 1920), (8, 3, 1080, 1920)
# Shape, what, seconds, implementations.
CASES = {
    "cpu": [
        (FRAME, "fuse forward", 6.0, WITH_OPENCV),
        (FRAME, "fuse both", 5.0, USUAL),
        (FRAME, "stream", 3.0, ("vqe_fast", "opencv")),
        ((1, 1, 1080, 1920), "variance", 4.0, WITH_OPENCV),
        ((1, 3, 270, 480), "fuse forward", 1.0, WITHOUT_COMPILER),
        ((1, 3, 540, 960), "fuse forward", 1.0, WITHOUT_COMPILER),
    ],
    "cuda": [
        (BATCH, "fuse forward", 2.0, USUAL),
        (BATCH, "fuse both", 2.0, USUAL),
        (FRAME, "fuse forward", 1.0, USUAL),
        (FRAME, "stream", 1.0, ("vqe_fast",)),
        ((8, 1, 1080, 1920), "variance", 1.0, USUAL),
    ],
}
TINY = (1, 3, 40, 56)


def plan(device, tiny):
    return [
        Case(f"{what} {shape}", names, functools.partial(work, what, shape, device, names), budget)
        for shape, what, budget, names in cases(CASES, device, tiny and TINY)
    ]


def work(what, shape, device, names):
    if what == "stream":
        return streamed(shape, device, names)
    if what == "variance":
        function = variance((shape[0], 1, *shape[2:]), FP32, device)
    else:
        function = fusion(shape, FP32, device, what.removeprefix("fuse "))
    candidates = [candidate for candidate in function.usual() if candidate.name in names]
    if "opencv" in names:
        method = OpenCV.variance if what == "variance" else OpenCV.fuse
        candidates.append(with_opencv(function.sample, function.exact, method, shape))
    return function.work(candidates)


def with_opencv(sample, exact, method, shape):
    def make():
        opencv = OpenCV(*shape[2:], SHARPEN)
        return lambda frames: method(opencv, *frames)

    def prepare(sample):
        return [interleaved(frame) for frame in sample.arguments]

    def error(call):
        return relative_error([planar(call(prepare(sample(0))))], exact())

    return Candidate("opencv", "alternative", make, error, missing("cv2"), prepare)


def streamed(shape, device, names):
    """A frame of a video, of whose neighbours the variance is known."""

    def sample(number):
        return Sample(tuple(random_tensors(number, [shape] * 2, FP32, device)))

    def make():
        stream = nn.FusionStream(sharpen=SHARPEN)
        stream.push(*sample(0).arguments)
        return lambda sample: stream.push(*sample.arguments)

    @functools.cache
    def exact():
        """Of a video that stands still."""
        detail, smooth = (frame.double() for frame in sample(0).arguments)
        return [reference.astf_fuse(detail, smooth, smooth, smooth, sharpen=SHARPEN)]

    def error(call):
        return relative_error([call(sample(0))], exact())

    candidates = [Candidate("vqe_fast", "own", make, error)]
    if "opencv" in names:
        candidates.append(with_opencv(sample, exact, OpenCV.push, shape))
    return Work(
        operator="fusion",
        case="astf_fuse, sharpened, a frame of a stream",
        shape=shape,
        dtype=FP32,
        direction="forward",
        device=device,
        sample=sample,
        candidates=candidates,
        counts_bytes=True,
    )


def test_fusion(report, case, name):
    report(case, name)
