"""SSIM loss, forward and backward, against the best of its alternatives, eager and compiled.

Run: ``pytest benchmarks/bench_ssim.py``; compare medians within one group.
"""

import functools

import pytest
import torch
from side_by_side import REPLAY, durations, installed, peak_bytes, replayed
from torch.nn import functional

from vqe_fast import ops, reference

pytestmark = replayed

SHAPES = ((4, 3, 256, 256), (32, 1, 64, 64), (1, 1, 1080, 1920))
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def _pytorch_msssim():
    from pytorch_msssim import ssim

    return lambda x, y: 1 - ssim(x, y, data_range=1.0)


def _torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    return lambda x, y: 1 - ssim(x, y, data_range=1.0)


def _kornia():
    from kornia.metrics import ssim

    return lambda x, y: 1 - ssim(x, y, 11, padding="valid").mean()


def _fused_ssim():
    from fused_ssim import fused_ssim

    return lambda x, y: 1 - fused_ssim(x, y, padding="valid")


ALTERNATIVES = {
    "pytorch_msssim": _pytorch_msssim,
    "torchmetrics": _torchmetrics,
    "kornia": _kornia,
}
NAMES = (
    "vqe_fast",
    "vqe_fast ssim_mse",
    *ALTERNATIVES,
    *(f"{name} compiled" for name in ALTERNATIVES),
    "fused_ssim",
)


def missing(name, device):
    """Why an alternative cannot be measured; nothing if it can."""
    if name == "fused_ssim" and device == "cpu":
        return "fused_ssim has no CPU kernel"
    module = name.removesuffix(" compiled")
    if module.startswith("vqe_fast") or installed(module):
        return None
    return f"{module} is not installed"


def loss_named(name):
    if name == "vqe_fast":
        return ops.ssim_loss
    if name == "vqe_fast ssim_mse":
        return ops.ssim_mse_loss
    if name == "fused_ssim":
        return _fused_ssim()
    loss = ALTERNATIVES[name.removesuffix(" compiled")]()
    return torch.compile(loss) if name.endswith("compiled") else loss


def exact_loss(name):
    """What the loss must be; torchmetrics reflects the images at their border."""
    if name.startswith("torchmetrics"):
        reflected = functools.partial(functional.pad, pad=(5, 5, 5, 5), mode="reflect")
        return lambda x, y: reference.ssim_loss(reflected(x), reflected(y))
    return reference.ssim_mse_loss if name.endswith("mse") else reference.ssim_loss


@functools.cache
def measured(shape, device):
    """name → (seconds of each call, bytes at the peak); no time where the gradient is wrong."""
    input = torch.rand(shape, device=device, requires_grad=True)
    target = torch.rand(shape, device=device)
    steps = {}
    for name in NAMES:
        if missing(name, device):
            continue
        loss = loss_named(name)

        def step(loss=loss):
            (gradient,) = torch.autograd.grad(loss(input, target), input)
            if device == "cuda":
                torch.cuda.synchronize()
            return gradient

        exact = input.detach().double().requires_grad_()
        (expected,) = torch.autograd.grad(exact_loss(name)(exact, target.double()), exact)
        scale = 1e-3 * expected.abs().max().item()
        torch.testing.assert_close(step().double(), expected, rtol=1e-3, atol=scale)
        steps[name] = step
    times = durations(steps)
    return {name: (times[name], peak_bytes(step, device)) for name, step in steps.items()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(benchmark, name, shape, device):
    if reason := missing(name, device):
        pytest.skip(reason)
    benchmark.group = f"SSIM {shape} {device}"
    times, benchmark.extra_info["peak_bytes"] = measured(shape, device)[name]
    REPLAY.hand_over(benchmark, times)
