"""SSIM loss against the best of its alternatives, eager and compiled."""

import functools

from harness import FP32, Case, cases, missing
from torch.nn import functional

from vqe_fast import ops, reference
from vqe_fast.bench.functions import compiled
from vqe_fast.bench.operators.ssim import ssim


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


def reflected(x, y):
    """The definition of torchmetrics, which reflects the images at their border."""
    margins = (5, 5, 5, 5)
    x, y = (functional.pad(image, margins, mode="reflect") for image in (x, y))
    return reference.ssim_loss(x, y)


ALTERNATIVES = {
    "pytorch_msssim": _pytorch_msssim,
    "torchmetrics": _torchmetrics,
    "kornia": _kornia,
}
EAGER = ("vqe_fast", "vqe_fast ssim_mse_loss", *ALTERNATIVES, "fused_ssim")
NAMES = (*EAGER, *(f"{name} compiled" for name in ALTERNATIVES))
# Shape, direction, seconds, implementations; sizes in between show how time and memory grow.
CASES = {
    "cpu": [
        ((4, 3, 256, 256), "both", 8.0, NAMES),
        ((32, 1, 64, 64), "both", 6.0, NAMES),
        ((1, 1, 1080, 1920), "both", 10.0, NAMES),
        ((1, 1, 128, 128), "both", 1.0, EAGER),
        ((1, 1, 256, 256), "both", 1.0, EAGER),
        ((1, 1, 512, 512), "both", 1.0, EAGER),
    ],
    "cuda": [
        ((16, 3, 1080, 1920), "forward", 2.0, EAGER),
        ((16, 3, 1080, 1920), "both", 2.0, EAGER),
        ((4, 3, 1080, 1920), "both", 2.0, NAMES),
        ((1, 1, 1080, 1920), "both", 1.0, EAGER),
    ],
}
TINY = (1, 2, 24, 33)


def plan(device, tiny):
    return [
        Case(
            f"{shape} {direction}",
            names,
            functools.partial(work, shape, direction, device, names),
            budget,
        )
        for shape, direction, budget, names in cases(CASES, device, tiny and TINY)
    ]


def work(shape, direction, device, names):
    function = ssim(shape, FP32, device, direction)
    return function.work([candidate(function, name) for name in names])


def candidate(function, name):
    if name == "vqe_fast":
        return function.usual()[0]
    if name == "vqe_fast ssim_mse_loss":
        return function.candidate(
            name, lambda: ops.ssim_mse_loss, role="own", definition=reference.ssim_mse_loss
        )
    if name == "fused_ssim":
        problem = missing(name) if function.device == "cuda" else "has no CPU kernel"
        return function.candidate(name, _fused_ssim, problem=problem, tolerance=1e-3)
    module = name.removesuffix(" compiled")
    make = ALTERNATIVES[module]
    return function.candidate(
        name,
        make if name == module else lambda: compiled(make()),
        definition=reflected if module == "torchmetrics" else reference.ssim_loss,
        problem=missing(module),
        tolerance=1e-3,
    )


def test_ssim(report, case, name):
    report(case, name)
