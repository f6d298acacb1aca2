"""Charbonnier loss, forward and backward, against plain PyTorch, eager and compiled.

Run: ``pytest benchmarks/bench_charbonnier.py``; compare medians within one group.
"""

import functools

import pytest
import torch
from side_by_side import REPLAY, durations, peak_bytes, replayed

from vqe_fast import ops, reference

pytestmark = replayed

SHAPES = ((4, 3, 256, 256), (16, 1, 96, 96), (1, 1, 1080, 1920))
DTYPES = (torch.float32, torch.bfloat16)
IMPLEMENTATIONS = {
    "vqe_fast": lambda: ops.charbonnier_loss,
    "eager": lambda: reference.charbonnier_loss,
    "compile": lambda: torch.compile(reference.charbonnier_loss),
}
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


@functools.cache
def measured(shape, dtype, device):
    """name → (seconds of each call, bytes at the peak); no time where the gradient is wrong."""
    input = torch.rand(shape, dtype=dtype, device=device, requires_grad=True)
    target = torch.rand(shape, dtype=dtype, device=device)
    exact = input.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(reference.charbonnier_loss(exact, target.double()), exact)
    scale = 1e-2 * expected.max().item()
    steps = {}
    for name, make in IMPLEMENTATIONS.items():
        loss = make()

        def step(loss=loss):
            (gradient,) = torch.autograd.grad(loss(input, target), input)
            if device == "cuda":
                torch.cuda.synchronize()
            return gradient

        torch.testing.assert_close(step().double(), expected, rtol=1e-2, atol=scale)
        steps[name] = step
    times = durations(steps, budget=3.0)
    return {name: (times[name], peak_bytes(step, device)) for name, step in steps.items()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_forward_and_backward(benchmark, name, shape, dtype, device):
    benchmark.group = f"Charbonnier {shape} {dtype} {device}"
    times, benchmark.extra_info["peak_bytes"] = measured(shape, dtype, device)[name]
    REPLAY.hand_over(benchmark, times)
