"""Charbonnier loss, forward and backward, against plain PyTorch, eager and compiled.

Run: ``pytest benchmarks/bench_charbonnier.py``; compare medians within one run.
"""

import pytest
import torch

from vqe_fast import ops, reference

SHAPES = ((4, 3, 256, 256), (16, 1, 96, 96), (1, 1, 1080, 1920))
DTYPES = (torch.float32, torch.bfloat16)
IMPLEMENTATIONS = {
    "vqe_fast": lambda: ops.charbonnier_loss,
    "eager": lambda: reference.charbonnier_loss,
    "compile": lambda: torch.compile(reference.charbonnier_loss),
}
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_forward_and_backward(benchmark, name, shape, dtype, device):
    benchmark.group = f"{shape} {dtype} {device}"
    input = torch.rand(shape, dtype=dtype, device=device, requires_grad=True)
    target = torch.rand(shape, dtype=dtype, device=device)
    loss = IMPLEMENTATIONS[name]()

    def step():
        (gradient,) = torch.autograd.grad(loss(input, target), input)
        if device == "cuda":
            torch.cuda.synchronize()
        return gradient

    exact = input.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(reference.charbonnier_loss(exact, target.double()), exact)
    scale = 1e-2 * expected.max().item()
    torch.testing.assert_close(step().double(), expected, rtol=1e-2, atol=scale)
    benchmark.pedantic(step, rounds=60, warmup_rounds=5)
