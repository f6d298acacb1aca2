"""The fusion kernels of the GPU, run on the host; on a GPU test_fusion.py runs the real ones."""

import ctypes

import pytest
import torch

from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse
from support.host_build import host_library
from support.layouts import channels_last, sliced, transposed
from vqe_fast import reference
from vqe_fast.reference.fusion import FrameVariance, frame_variance, fuse, gaussian_taps

NAMES = {torch.float64: "float64", torch.float32: "float32", torch.bfloat16: "bfloat16"}
NAMES[torch.float16] = "float16"
SIZES = ctypes.c_int64 * 4


class VarianceCall(ctypes.Structure):
    _fields_ = (
        ("frames", ctypes.c_void_p),
        ("sizes", SIZES),
        ("steps", SIZES),
        ("radius", ctypes.c_int64),
        ("map", ctypes.c_void_p),
        ("bounds", ctypes.c_void_p),
        ("means", ctypes.c_void_p),
        ("grads", ctypes.c_void_p),
        ("gradient", ctypes.c_void_p),
    )


class SharpenCall(ctypes.Structure):
    _fields_ = (
        ("detail", ctypes.c_void_p),
        ("smooth", ctypes.c_void_p),
        ("sizes", SIZES),
        ("detail_steps", SIZES),
        ("smooth_steps", SIZES),
        ("amount", ctypes.c_double),
        ("taps_size", ctypes.c_int64),
        ("taps", ctypes.POINTER(ctypes.c_double)),
        ("transposed", ctypes.c_bool),
        ("variance", ctypes.c_void_p),
        ("bounds", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("grad_detail", ctypes.c_void_p),
        ("grad_smooth", ctypes.c_void_p),
    )


def pointer(tensor):
    return None if tensor is None else tensor.data_ptr()


def unwritten(shape, dtype):
    return torch.full(shape, torch.nan, dtype=dtype)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    return host_library("fusion_on_host.cpp", tmp_path_factory.mktemp("fusion"))


def variance_of(kernels, frames, radius, grads=None):
    """(map and bounds, gradient of the frames)."""
    computed = torch.promote_types(frames.dtype, torch.float32)
    size = (frames.shape[0], 1, *frames.shape[2:])
    grads = torch.zeros(size, dtype=computed) if grads is None else grads
    found = FrameVariance(unwritten(size, computed), unwritten((frames.shape[0], 2), computed))
    means = unwritten(size, torch.float64)
    gradient = unwritten(frames.shape, computed)
    call = VarianceCall(
        frames.data_ptr(),
        tuple(frames.shape),
        frames.stride(),
        radius,
        *map(pointer, (*found, means, grads, gradient)),
    )
    getattr(kernels, f"variance_{NAMES[frames.dtype]}")(ctypes.byref(call))
    return found, gradient


def sharpened(kernels, smooth, amount, taps, detail=None, variance=None, back=False):
    """The result; with ``back`` what takes a gradient back to detail and smooth, or to frames."""
    blended = variance is not None
    outputs = [None, None, None]
    for index in (1, 2) if back and blended else (0,):
        outputs[index] = unwritten(smooth.shape, smooth.dtype)
    call = SharpenCall(
        pointer(detail),
        pointer(smooth),
        tuple(smooth.shape),
        (0, 0, 0, 0) if detail is None else detail.stride(),
        smooth.stride(),
        amount,
        len(taps),
        (ctypes.c_double * len(taps))(*taps),
        back,
        *(map(pointer, variance) if blended else (None, None)),
        *map(pointer, outputs),
    )
    getattr(kernels, f"sharpen_{NAMES[smooth.dtype]}")(ctypes.byref(call))
    return [output for output in outputs if output is not None]


def frames(shape, dtype, count=1):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand((count, *shape), generator=generator, dtype=torch.float64).to(dtype).unbind()


# A block sees 32 rows and 256 columns, of which 2 radius belong to its neighbours.
@pytest.mark.parametrize("dtype", NAMES, ids=str)
@pytest.mark.parametrize(
    ("shape", "radius"),
    [
        ((1, 1, 1, 1), 11),
        ((2, 3, 35, 30), 11),
        ((1, 1, 3, 270), 1),
        ((1, 3, 40, 140), 63),
        ((1, 1, 70, 20), 4),
    ],
    ids=str,
)
def test_variance_on_the_host(kernels, shape, radius, dtype):
    (image,) = frames(shape, dtype)
    generator = torch.Generator().manual_seed(1)
    size = (shape[0], 1, *shape[2:])
    grads = torch.rand(size, generator=generator, dtype=torch.float64)
    grads = grads.to(torch.promote_types(dtype, torch.float32))
    results = []
    for leaf in (image.clone().requires_grad_(), image.double().requires_grad_()):
        found = frame_variance(leaf, radius)
        (gradient,) = torch.autograd.grad(found.map, leaf, grads.to(found.map.dtype))
        results.append([found.map.detach(), found.bounds, gradient])
    found, gradient = variance_of(kernels, image, radius, grads)
    for index, (actual, control, exact) in enumerate(
        zip((*found, gradient.to(dtype)), *results, strict=True)
    ):
        factor = GRADIENT_FACTOR if index == 2 else VALUE_FACTOR
        assert_no_worse(actual, control, exact, factor, float64_units=64)


@pytest.mark.parametrize("layout", (channels_last, sliced, transposed))
def test_layouts_on_the_host(kernels, layout):
    detail, smooth = frames((2, 3, 20, 40), torch.float32, 2)
    expected, _ = variance_of(kernels, smooth, 3)
    actual, _ = variance_of(kernels, layout(smooth), 3)
    assert torch.equal(actual.map, expected.map) and torch.equal(actual.bounds, expected.bounds)
    taps = gaussian_taps(3, 0.8)
    (expected,) = sharpened(kernels, smooth, 0.5, taps, detail, actual)
    (actual,) = sharpened(kernels, layout(smooth), 0.5, taps, layout(detail), actual)
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("bad", (float("nan"), float("inf")))
def test_a_bad_pixel_spoils_only_its_windows_on_the_host(kernels, bad):
    (luma,) = frames((1, 1, 40, 300), torch.float32)
    expected, _ = variance_of(kernels, luma, 3)
    places = torch.zeros_like(luma)
    for row, column in ((0, 0), (10, 249), (25, 255)):
        places[0, 0, row, column] = 1
        luma[0, 0, row, column] = bad
    spoilt = torch.nn.functional.max_pool2d(places, 7, 1, 3) > 0
    actual, _ = variance_of(kernels, luma, 3)
    assert torch.equal(actual.map.isnan(), spoilt) and actual.bounds.isnan().all()
    torch.testing.assert_close(actual.map[~spoilt], expected.map[~spoilt])


# A block has 16 rows and 32 columns.
@pytest.mark.parametrize("dtype", NAMES, ids=str)
@pytest.mark.parametrize("amount", (0.0, 0.7))
@pytest.mark.parametrize(
    ("shape", "kernel_size"),
    [((1, 1, 1, 1), 3), ((1, 2, 2, 3), 33), ((2, 3, 17, 40), 3), ((1, 1, 20, 50), 33)],
    ids=str,
)
def test_sharpening_on_the_host(kernels, shape, kernel_size, amount, dtype):
    detail, smooth, grad = frames(shape, dtype, 3)
    results = []
    for type in (dtype, torch.float64):
        leaves = [image.to(type).requires_grad_() for image in (detail, smooth)]
        plain = reference.unsharp_mask(leaves[1], amount, kernel_size, 2.0)
        gradients = torch.autograd.grad(plain, leaves[1], grad.to(type))
        results.append([plain.detach(), *gradients])
    taps = gaussian_taps(kernel_size, 2.0)
    actual = sharpened(kernels, smooth, amount, taps)
    actual += sharpened(kernels, grad, amount, taps, back=True)
    for index, (a, control, exact) in enumerate(zip(actual, *results, strict=True)):
        assert_no_worse(a, control, exact, GRADIENT_FACTOR if index else VALUE_FACTOR)


@pytest.mark.parametrize("dtype", NAMES, ids=str)
@pytest.mark.parametrize("amount", (0.0, 0.7))
def test_fusion_on_the_host(kernels, amount, dtype):
    detail, smooth, grad = frames((2, 3, 17, 40), dtype, 3)
    known = frame_variance(smooth, 5)
    results = []
    for type in (dtype, torch.float64):
        leaves = [image.to(type).requires_grad_() for image in (detail, smooth)]
        variance = [tensor.to(torch.promote_types(type, torch.float32)) for tensor in known]
        fused = fuse(*leaves, *variance, amount)
        results.append([fused.detach(), *torch.autograd.grad(fused, leaves, grad.to(type))])
    taps = gaussian_taps(3, 0.8)
    actual = sharpened(kernels, smooth, amount, taps, detail, known)
    actual += sharpened(kernels, grad, amount, taps, None, known, back=True)
    for index, (a, control, exact) in enumerate(zip(actual, *results, strict=True)):
        assert_no_worse(a, control, exact, GRADIENT_FACTOR if index else VALUE_FACTOR)
