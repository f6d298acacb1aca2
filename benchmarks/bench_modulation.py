"""Modulation of features by gains against plain PyTorch, eager and compiled, and folded away."""

import functools

import torch
from harness import BF16, FP32, Case, cases

from vqe_fast import nn, ops
from vqe_fast.bench.case import Candidate, Sample, Work, relative_error
from vqe_fast.bench.functions import random_tensors
from vqe_fast.bench.operators.modulation import modulation

NAMES = ("vqe_fast", "eager", "torch.compile")
SHAPE, SMALLER, BATCH = (1, 64, 540, 960), (1, 64, 120, 208), (16, 64, 540, 960)
# Shape, dtype, layout, gains, direction, seconds.
CASES = {
    "cpu": [
        *(
            (SHAPE, dtype, layout, gains, direction, 1.5)
            for dtype, layout, direction in (
                (FP32, "NCHW", "forward"),
                (FP32, "NCHW", "both"),
                (FP32, "channels_last", "forward"),
                (BF16, "NCHW", "forward"),
            )
            for gains in ("frame", "blocks")
        ),
        (SMALLER, FP32, "NCHW", "blocks", "forward", 1.0),
        ((1, 64, 270, 480), FP32, "NCHW", "blocks", "forward", 1.0),
    ],
    "cuda": [
        (BATCH, dtype, "channels_last", gains, direction, 1.0)
        for dtype in (BF16, FP32)
        for gains in ("frame", "blocks")
        for direction in ("forward", "both")
    ],
}
TINY = (1, 8, 32, 48)


def plan(device, tiny):
    planned = [
        Case(
            f"{shape} {dtype} {layout} {gains} {direction}",
            NAMES,
            functools.partial(work, shape, dtype, layout, gains, direction, device),
            budget,
        )
        for shape, dtype, layout, gains, direction, budget in cases(
            CASES, device, TINY if tiny else None
        )
    ]
    shape = TINY if tiny else SHAPE
    fold = functools.partial(folding, shape, device)
    return [*planned, Case(f"folding {shape}", CONVOLUTIONS, fold, 3.0)]


def work(shape, dtype, layout, gains, direction, device):
    function = modulation(shape, dtype, device, direction, gains=gains, layout=layout)
    return function.work(function.usual())


CONVOLUTIONS = (
    "vqe_fast folded",
    "vqe_fast QPModulatedConv2d",
    "vqe_fast not folded",
    "not modulated",
)


def folding(shape, device):
    """A convolution of modulated features, whose gains may go into its weights."""
    channels = shape[1]

    @functools.cache
    def built():
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1, device=device).eval()
        (gains,) = random_tensors(1, [shape[:2]], FP32, device)
        return conv, gains

    def sample(number):
        return Sample(tuple(random_tensors(number, [shape], FP32, device)))

    def make(name):
        conv, gains = built()
        modulated = nn.QPModulatedConv2d(channels, channels, 3, padding=1, device=device).eval()
        modulated.load_state_dict(conv.state_dict())
        call = {
            "vqe_fast folded": nn.fold_qp(conv, gains),
            "vqe_fast QPModulatedConv2d": lambda features: modulated(features, gains),
            "vqe_fast not folded": lambda features: conv(ops.qp_modulate(features, gains)),
            "not modulated": conv,
        }[name]
        return torch.no_grad()(lambda sample: call(*sample.arguments))

    @torch.no_grad()
    def error(name, call):
        conv, gains = built()
        (features,) = sample(0).arguments
        modulated = features if name == "not modulated" else features * gains[..., None, None]
        weight, bias = conv.weight.double(), conv.bias.double()
        exact = torch.nn.functional.conv2d(modulated.double(), weight, bias, padding=1)
        return relative_error([call(sample(0))], [exact])

    def candidate(name):
        role = "own" if name.startswith("vqe_fast") else "yardstick"
        return Candidate(name, role, functools.partial(make, name), functools.partial(error, name))

    return Work(
        operator="modulation",
        case="convolution of modulated features",
        shape=shape,
        dtype=FP32,
        direction="forward",
        device=device,
        sample=sample,
        candidates=[candidate(name) for name in CONVOLUTIONS],
    )


def test_modulation(report, case, name):
    report(case, name)
