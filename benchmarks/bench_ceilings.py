"""What the machine can do at most: copy bytes, multiply matrices of bfloat16.

The page gives other figures as parts of these.
"""

import functools

import torch
from harness import BF16, FP32, Case

from vqe_fast.bench.case import Candidate, Sample, Work, relative_error
from vqe_fast.bench.functions import random_tensors

# Float32 values copied, and rows of square matrices.
SIZES = {"cpu": (1 << 26, 2048), "cuda": (1 << 30, 8192)}
TINY = (1 << 12, 32)


def plan(device, tiny):
    values, rows = TINY if tiny else SIZES[device]
    return [
        Case("copy", ("PyTorch",), functools.partial(copying, values, device), 2.0),
        Case("matrix product", ("PyTorch",), functools.partial(product, rows, device), 2.0),
    ]


def copying(values, device):
    def sample(number):
        return Sample(tuple(random_tensors(number, [(values,)], FP32, device)))

    def make():
        target = torch.empty(values, device=device)
        return lambda sample: target.copy_(*sample.arguments)

    def error(call):
        return relative_error([call(sample(0))], sample(0).arguments)

    return Work(
        operator="ceiling",
        case="copy",
        shape=(values,),
        dtype=FP32,
        direction="forward",
        device=device,
        sample=sample,
        candidates=[Candidate("PyTorch", "yardstick", make, error)],
        work_bytes=2 * 4 * values,
    )


def product(rows, device):
    def sample(number):
        return Sample(tuple(random_tensors(number, [(rows, rows)] * 2, BF16, device, normal=True)))

    def call(sample):
        left, right = sample.arguments
        return left @ right

    def error(call):
        left, right = sample(0).arguments
        return relative_error([call(sample(0))[:8]], [left[:8].double() @ right.double()])

    return Work(
        operator="ceiling",
        case="matrix product",
        shape=(rows, rows),
        dtype=BF16,
        direction="forward",
        device=device,
        sample=sample,
        candidates=[Candidate("PyTorch", "yardstick", lambda: call, error)],
        work_flops=2 * rows**3,
    )


def test_ceilings(report, case, name):
    report(case, name)
