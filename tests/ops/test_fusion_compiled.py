"""The fusion kernels compiled for a GPU that need not be here: what they take and call."""

import pytest

from support.cuda_kernels import compile_kernels

HEADERS = ("torch/headeronly/util/BFloat16.h", "fusion/fusion_kernel.cuh")


def windows(type):
    """The kernels of windows: those for the usual radius keep rows in shared memory."""
    launch = f"(vqe_fast::BoxLaunch<{type}, float>)"
    return [
        f"vqe_fast::{kernel}<vqe_fast::BoxVariant<{variant}>, {type}, float>{launch}"
        for kernel in ("variance_kernel", "mean_kernel", "variance_gradient_kernel")
        for variant in ("11, 1, true", "11, 3, true", "11, 3, false", "-1, 3, false")
    ]


def sharpeners(type):
    """The kernels that sharpen, fuse, and take gradients back."""
    launch = f"(vqe_fast::SharpLaunch<{type}, float>)"
    return [
        f"vqe_fast::sharpen_rows_kernel<vqe_fast::SharpVariant<vqe_fast::Sharpen::{variant}>, "
        f"{type}, float>{launch}"
        for variant in (
            "kFrames, 1, 1, true",
            "kFused, 0, 3, true",
            "kFused, 1, 3, true",
            "kFused, 1, 3, false",
            "kGradient, 0, 3, true",
            "kGradient, 1, 3, true",
        )
    ] + [f"vqe_fast::sharpen_tile_kernel<{type}, float>{launch}"]


@pytest.mark.parametrize("kernels", (windows, sharpeners))
@pytest.mark.parametrize("type", ("float", "torch::headeronly::BFloat16"))
def test_compiled_for_a_gpu(kernels, type):
    """Several blocks fit a multiprocessor; nothing is kept in local memory, and no routine is
    called, as it is for a division."""
    for name, kernel in compile_kernels(HEADERS, kernels(type)).items():
        assert kernel.stack == kernel.spills == 0, name
        assert kernel.registers <= 168, name
        assert kernel.shared <= 36 * 1024, name
        assert "CALL" not in kernel.instructions, name


@pytest.mark.parametrize(("type", "bits"), [("float", 128), ("torch::headeronly::BFloat16", 64)])
def test_rows_are_loaded_and_stored_whole(type, bits):
    """Four columns at a time, of each of three channels; a value of the variances is a float32."""
    (kernel,) = (one for one in sharpeners(type) if "kFused, 1, 3, true" in one)
    (compiled,) = compile_kernels(HEADERS, [kernel]).values()
    assert compiled.sass.count(f"STG.E.{bits} ") == compiled.instructions["STG"] == 3
    bounds, detail, smooth, variance = 2, 3, 3, 1
    wide = compiled.sass.count("LDG.E.64 ") + compiled.sass.count("LDG.E.128 ")
    assert wide == detail + smooth + variance
    assert compiled.instructions["LDG"] == bounds + detail + smooth + variance
