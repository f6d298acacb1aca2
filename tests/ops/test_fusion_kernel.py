"""The fusion kernels of the GPU, run on the host; on a GPU test_fusion.py runs the real ones."""

import ctypes

import pytest
import torch

from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse, relative_rms
from support.host_build import host_library
from support.layouts import channels_last, offset, sliced, transposed
from support.workers import shared_folder
from vqe_fast import reference
from vqe_fast.reference.fusion import (
    FrameVariance,
    common_bounds,
    frame_variance,
    fuse,
    gaussian_taps,
    mask_of,
)

pytestmark = pytest.mark.slow  # a compiler has to run first

NAMES = {torch.float64: "float64", torch.float32: "float32", torch.bfloat16: "bfloat16"}
NAMES[torch.float16] = "float16"
SIZES = ctypes.c_int64 * 4
MAX_FRAMES = 3


class VarianceCall(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int64),
        ("frames", ctypes.c_void_p * MAX_FRAMES),
        ("sizes", SIZES),
        ("steps", SIZES * MAX_FRAMES),
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
    return host_library("fusion_on_host.cpp", shared_folder(tmp_path_factory, "on_host"))


def variance_of(kernels, image, radius, grads=None, neighbours=()):
    """(map and bounds, gradient of the image where there are ``grads``)."""
    computed = torch.promote_types(image.dtype, torch.float32)
    size = (image.shape[0], 1, *image.shape[2:])
    found = FrameVariance(unwritten(size, computed), unwritten((image.shape[0], 2), computed))
    means = unwritten(size, torch.float64)
    gradient = None if grads is None else unwritten(image.shape, computed)
    images = (image, *neighbours)
    call = VarianceCall(
        len(images),
        (ctypes.c_void_p * MAX_FRAMES)(*map(pointer, images)),
        tuple(image.shape),
        (SIZES * MAX_FRAMES)(*(each.stride() for each in images)),
        radius,
        *map(pointer, (*found, means, grads, gradient)),
    )
    getattr(kernels, f"variance_{NAMES[image.dtype]}")(ctypes.byref(call))
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


def padded_rows(tensor):
    """Rows that begin at multiples of four elements, with something between them."""
    wide = tensor.new_full((*tensor.shape[:-1], tensor.shape[-1] + 4), 7.0)
    wide[..., :-4] = tensor
    return wide[..., :-4]


# A block has 64 rows and sees 256 columns, of which those in reach of a radius belong to its
# neighbours: for the usual radius 12 on either side. A thread has four columns.
@pytest.mark.parametrize("dtype", NAMES, ids=str)
@pytest.mark.parametrize(
    ("shape", "radius"),
    [
        ((1, 1, 1, 1), 11),
        ((2, 3, 35, 30), 11),
        ((1, 3, 70, 468), 11),
        ((2, 1, 129, 236), 11),
        ((1, 1, 24, 235), 11),
        ((2, 1, 66, 9), 0),
        ((1, 1, 3, 270), 1),
        ((1, 3, 9, 21), 2),
        ((1, 1, 7, 262), 3),
        ((1, 1, 70, 20), 4),
        ((1, 1, 20, 250), 12),
        ((1, 3, 40, 140), 63),
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
    assert torch.equal(found.bounds, torch.stack(found.map.flatten(1).aminmax(dim=1), dim=1))
    for index, (actual, control, exact) in enumerate(
        zip((*found, gradient.to(dtype)), *results, strict=True)
    ):
        if radius == 0:  # the truth is 0, and what it may be missed by no share of it
            assert actual.abs().max() < 1e-6 and exact.abs().max() == 0
            continue
        factor = GRADIENT_FACTOR if index == 2 else VALUE_FACTOR
        assert_no_worse(actual, control, exact, factor, float64_units=64)


@pytest.mark.parametrize("dtype", NAMES, ids=str)
@pytest.mark.parametrize("count", (2, 3))
def test_frames_of_one_launch_on_the_host(kernels, count, dtype):
    """The map is the first frame's, the bounds hold those of all, whatever the layout of each."""
    first, *others = frames((2, 3, 70, 240), dtype, count)
    others = [channels_last(other * (0.1 + number)) for number, other in enumerate(others)]
    alone = [variance_of(kernels, each, 11)[0] for each in (first, *others)]
    together, _ = variance_of(kernels, first, 11, neighbours=others)
    assert torch.equal(together.map, alone[0].map)
    assert torch.equal(together.bounds, common_bounds(*(each.bounds for each in alone)))
    others[-1][1, 2, 69, 239] = torch.nan
    together, _ = variance_of(kernels, first, 11, neighbours=others)
    assert torch.equal(together.map, alone[0].map)
    assert together.bounds.isnan().tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("radius", (4, 11))
@pytest.mark.parametrize("channels", (1, 3))
def test_values_far_from_zero_on_the_host(kernels, channels, radius):
    """Little is lost of a variance far below the square of the mean."""
    (noise,) = frames((1, channels, 130, 260), torch.float32)
    ramp = torch.linspace(0, 0.5, 260)
    for image, most in ((1 - 0.001 * noise, 1e-7), (ramp + 0.001 * noise, 5e-7)):
        found, _ = variance_of(kernels, image, radius)
        assert relative_rms(found.map, frame_variance(image.double(), radius).map) < most


@pytest.mark.parametrize("dtype", NAMES, ids=str)
def test_flat_frames_on_the_host(kernels, dtype):
    """Nothing is left of equal pixels beside an edge either, however long the sums have run."""
    colour = torch.tensor([0.1, 0.3, 0.7]).to(dtype).view(3, 1, 1)
    image = colour.repeat(1, 1, 130, 300)
    image[:, :, :30, :140] = 1.0
    found, _ = variance_of(kernels, image, 11)
    textured = torch.zeros(1, 1, 130, 300, dtype=torch.bool)
    textured[..., :41, :151] = True
    textured[..., :19, :129] = False
    assert torch.equal(found.map > 0, textured)


@pytest.mark.parametrize("radius", (3, 11))
@pytest.mark.parametrize(
    "layout", (channels_last, sliced, transposed, offset, padded_rows), ids=lambda f: f.__name__
)
def test_layouts_on_the_host(kernels, layout, radius):
    """To the bit the same, with wide loads or without."""
    detail, smooth = frames((2, 3, 20, 240), torch.float32, 2)
    grads = torch.rand((2, 1, 20, 240), generator=torch.Generator().manual_seed(1))
    expected, expected_gradient = variance_of(kernels, smooth, radius, grads)
    actual, gradient = variance_of(kernels, layout(smooth), radius, grads)
    assert torch.equal(actual.map, expected.map) and torch.equal(actual.bounds, expected.bounds)
    assert torch.equal(gradient, expected_gradient)
    for taps in (gaussian_taps(3, 0.8), gaussian_taps(5, 0.8)):
        (expected,) = sharpened(kernels, smooth, 0.5, taps, detail, actual)
        moved = FrameVariance(offset(actual.map), actual.bounds)
        (fused,) = sharpened(kernels, layout(smooth), 0.5, taps, layout(detail), moved)
        assert torch.equal(fused, expected)
        expected = sharpened(kernels, smooth, 0.5, taps, None, actual, back=True)
        back = sharpened(kernels, layout(smooth), 0.5, taps, None, moved, back=True)
        assert all(map(torch.equal, back, expected))


@pytest.mark.parametrize("radius", (3, 11))
@pytest.mark.parametrize("bad", (float("nan"), float("inf")))
def test_a_bad_pixel_spoils_only_its_windows_on_the_host(kernels, bad, radius):
    (luma,) = frames((1, 1, 140, 300), torch.float32)
    expected, _ = variance_of(kernels, luma, radius)
    places = torch.zeros_like(luma)
    for row, column in ((0, 0), (30, 231), (45, 255), (100, 247), (139, 298)):
        places[0, 0, row, column] = 1
        luma[0, 0, row, column] = bad
    spoilt = torch.nn.functional.max_pool2d(places, 2 * radius + 1, 1, radius) > 0
    actual, _ = variance_of(kernels, luma, radius)
    assert torch.equal(actual.map.isnan(), spoilt) and actual.bounds.isnan().all()
    torch.testing.assert_close(actual.map[~spoilt], expected.map[~spoilt])


# With three taps a block has 16 rows and 504 columns, a thread four of them and one more on either
# side; with others it has 16 rows and 32 columns.
@pytest.mark.parametrize("dtype", NAMES, ids=str)
@pytest.mark.parametrize("amount", (0.0, 0.7))
@pytest.mark.parametrize(
    ("shape", "kernel_size"),
    [
        ((1, 1, 1, 1), 3),
        ((1, 1, 2, 2), 3),
        ((1, 2, 1, 7), 3),
        ((2, 3, 17, 40), 3),
        ((1, 1, 33, 508), 3),
        ((1, 1, 5, 1011), 3),
        ((1, 1, 20, 50), 1),
        ((1, 2, 2, 3), 33),
        ((1, 1, 20, 50), 33),
        ((1, 1, 40, 70), 5),
    ],
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
@pytest.mark.parametrize(
    "shape", ((1, 1, 1, 1), (1, 3, 2, 5), (2, 3, 17, 40), (1, 3, 18, 512), (1, 2, 33, 507)), ids=str
)
def test_fusion_on_the_host(kernels, shape, amount, dtype):
    detail, smooth, grad = frames(shape, dtype, 3)
    known = frame_variance(smooth[:, :1], 5)
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


@pytest.mark.parametrize("size", (0.0, 1e-42, 1e-30, 1.0, 1e30, 3e38, float("inf"), float("nan")))
def test_mask_on_the_host(kernels, size):
    """Divided by ranges of any size; the bounds give 0 and 1 to the bit."""
    (shares,) = frames((1, 1, 8, 8), torch.float32)
    map = shares * min(size, 1e38) if size == size else shares
    map[..., 0, :2] = torch.tensor([0.0, size])
    bounds = torch.tensor([[0.0, size]])
    one, zero = torch.ones_like(map), torch.zeros_like(map)
    (mask,) = sharpened(kernels, zero, 0.0, [1.0], one, FrameVariance(map, bounds))
    expected = mask_of(map, bounds)
    torch.testing.assert_close(mask, expected, rtol=2e-7, atol=0, equal_nan=True)
    if 0 < size < float("inf"):
        assert mask[0, 0, 0, 0] == 0 and mask[0, 0, 0, 1] == 1
