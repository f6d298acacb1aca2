"""Charbonnier loss against plain PyTorch, eager and compiled."""

import functools

from harness import BF16, FP32, Case, cases

from vqe_fast.bench.operators.charbonnier import charbonnier

NAMES = ("vqe_fast", "eager", "torch.compile")
# Shape, dtype, direction, seconds.
CASES = {
    "cpu": [
        ((4, 3, 256, 256), FP32, "both", 4.0),
        ((4, 3, 256, 256), BF16, "both", 2.0),
        ((16, 1, 96, 96), FP32, "both", 2.0),
        ((16, 1, 96, 96), BF16, "both", 2.0),
        ((1, 1, 1080, 1920), FP32, "both", 2.0),
        ((1, 1, 1080, 1920), BF16, "both", 2.0),
        ((1, 3, 1080, 1920), FP32, "both", 2.0),
    ],
    "cuda": [
        ((32, 3, 1080, 1920), FP32, "forward", 1.0),
        ((32, 3, 1080, 1920), BF16, "forward", 1.0),
        ((32, 3, 1080, 1920), FP32, "both", 1.0),
        ((32, 3, 1080, 1920), BF16, "both", 1.0),
        ((8, 3, 1080, 1920), FP32, "both", 1.0),
        ((1, 3, 1080, 1920), FP32, "both", 1.0),
    ],
}
TINY = (2, 3, 24, 40)


def plan(device, tiny):
    return [
        Case(
            f"{shape} {dtype} {direction}",
            NAMES,
            functools.partial(work, shape, dtype, direction, device),
            budget,
        )
        for shape, dtype, direction, budget in cases(CASES, device, tiny and TINY)
    ]


def work(shape, dtype, direction, device):
    function = charbonnier(shape, dtype, device, direction)
    return function.work(function.usual())


def test_charbonnier(report, case, name):
    report(case, name)
