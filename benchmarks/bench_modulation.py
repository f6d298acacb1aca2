"""Modulation of features by gains against plain PyTorch, eager and compiled, and folded away.

Run: ``pytest benchmarks/bench_modulation.py``; compare medians within one group.
"""

import functools

import pytest
import torch
from side_by_side import REPLAY, durations, peak_bytes, replayed
from torch.nn import functional as F

from vqe_fast import nn, ops

pytestmark = replayed

SHAPE = (1, 64, 540, 960)
# One number for each channel, or one for each block of 16×16 pixels.
MAPS = {"frame": (1, 1), "blocks": (34, 60)}
LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
CHECKED = 4
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
CASES = [
    (device, dtype, layout, gains, what)
    for device in DEVICES
    for dtype, layout in (
        (torch.float32, "NCHW"),
        (torch.float32, "channels_last"),
        (torch.bfloat16, "NCHW"),
    )
    for gains in MAPS
    for what in ("forward", "both")
]


def plain(features, gains):
    """``F.interpolate`` picks the same gains at this size."""
    if gains.shape[2:] != (1, 1):
        gains = F.interpolate(gains, features.shape[2:], mode="nearest")
    return F.relu(features) * gains


IMPLEMENTATIONS = {
    "vqe_fast": lambda: functools.partial(ops.qp_modulate, activation="relu"),
    "eager": lambda: plain,
    "compile": lambda: torch.compile(plain, dynamic=False),
}


def waited_for(result, device):
    if device == "cuda":
        torch.cuda.synchronize()
    return result


def results(function, tensors, grad, what):
    outcome = [function(*tensors)]
    if what == "both":
        outcome += torch.autograd.grad(outcome[0], tensors, grad)
    return outcome


def check(actual, tensors, grad, what):
    """The first channels, which depend on nothing else."""
    exact = [tensor[:, :CHECKED].detach().double() for tensor in tensors]
    leaves = [tensor.requires_grad_(what == "both") for tensor in exact]
    expected = results(plain, leaves, grad[:, :CHECKED].double(), what)
    tolerance = 1e-4 if grad.dtype == torch.float32 else 2e-2
    for a, e in zip(actual, expected, strict=True):
        assert (a[:, :CHECKED].double() - e).norm() <= tolerance * e.norm()


@functools.cache
def measured(device, dtype, layout, gains, what):
    """name → (seconds of each call, bytes at the peak); no time where the result is wrong."""
    torch.compiler.reset()
    generator = torch.Generator().manual_seed(0)
    shapes = (SHAPE, SHAPE, SHAPE[:2] + MAPS[gains])
    tensors = (torch.rand(shape, generator=generator).to(device, dtype) for shape in shapes)
    features, grad, gains = (tensor.contiguous(memory_format=LAYOUTS[layout]) for tensor in tensors)
    leaves = [features.sub_(0.5), gains]
    if what == "both":
        leaves = [tensor.requires_grad_() for tensor in leaves]
    steps = {}
    for name, make in IMPLEMENTATIONS.items():
        function = make()

        def step(function=function):
            return waited_for(results(function, leaves, grad, what), device)

        check(step(), leaves, grad, what)
        steps[name] = step
    times = durations(steps, budget=1.0)
    return {name: (times[name], peak_bytes(step, device)) for name, step in steps.items()}


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize(("device", "dtype", "layout", "gains", "what"), CASES, ids=str)
def test_modulation(benchmark, name, device, dtype, layout, gains, what):
    benchmark.group = f"modulation {what} {gains} {layout} {dtype} {device}"
    results = measured(device, dtype, layout, gains, what)
    times, benchmark.extra_info["peak_bytes"] = results[name]
    REPLAY.hand_over(benchmark, times)


CONVOLUTIONS = ("not folded", "QPModulatedConv2d", "folded", "not modulated")


@functools.cache
def measured_convolutions(device):
    """name → seconds of each call of a convolution of modulated features."""
    features, gains = torch.randn(SHAPE, device=device), torch.rand(SHAPE[:2], device=device)
    conv = torch.nn.Conv2d(64, 64, 3, padding=1, device=device).eval()
    modulated = nn.QPModulatedConv2d(64, 64, 3, padding=1, device=device).eval()
    modulated.load_state_dict(conv.state_dict())
    folded = nn.fold_qp(conv, gains)
    calls = {
        "not folded": lambda: conv(ops.qp_modulate(features, gains)),
        "QPModulatedConv2d": lambda: modulated(features, gains),
        "folded": lambda: folded(features),
        "not modulated": lambda: conv(features),
    }

    def step(call):
        with torch.no_grad():
            return waited_for(call(), device)

    expected = step(calls["not folded"])
    for name in ("QPModulatedConv2d", "folded"):
        torch.testing.assert_close(step(calls[name]), expected, rtol=1e-4, atol=1e-4)
    steps = {name: functools.partial(step, call) for name, call in calls.items()}
    return durations(steps, budget=3.0)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("device", DEVICES)
def test_folding(benchmark, name, device):
    benchmark.group = f"convolution 64 to 64 of modulated features {device}"
    REPLAY.hand_over(benchmark, measured_convolutions(device)[name])
