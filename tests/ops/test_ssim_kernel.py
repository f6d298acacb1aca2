"""The SSIM kernels of the GPU, run on the host; on a GPU test_ssim.py runs the real ones."""

import ctypes

import pytest
import torch

from support.cuda_kernels import compile_kernels
from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse
from support.host_build import host_library
from support.layouts import LAYOUTS
from support.workers import shared_folder
from vqe_fast import reference

pytestmark = pytest.mark.slow  # a compiler has to run first

NAMES = {torch.float64: "float64", torch.float32: "float32", torch.bfloat16: "bfloat16"}
NAMES[torch.float16] = "float16"


class Options(ctypes.Structure):
    _fields_ = (
        ("window_size", ctypes.c_int64),
        ("sigma", ctypes.c_double),
        ("c1", ctypes.c_double),
        ("c2", ctypes.c_double),
        ("same", ctypes.c_bool),
    )


class Blend(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_double) for name in ("offset", "weight", "mse_weight"))


class Call(ctypes.Structure):
    _fields_ = (
        ("input", ctypes.c_void_p),
        ("target", ctypes.c_void_p),
        ("sizes", ctypes.c_int64 * 4),
        ("input_steps", ctypes.c_int64 * 4),
        ("target_steps", ctypes.c_int64 * 4),
        ("options", Options),
        ("blend", Blend),
        ("grad_map", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("similarity", ctypes.c_void_p),
        ("grad_input", ctypes.c_void_p),
        ("grad_target", ctypes.c_void_p),
    )


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    library = host_library("ssim_on_host.cpp", shared_folder(tmp_path_factory, "on_host"))

    def run(x, y, window_size, padding, alpha=None, grad_map=None, gradients=2):
        """(value, map, gradient of x, gradient of y); NaN where nothing was written.

        The map comes without gradients only.
        """
        computed = torch.promote_types(x.dtype, torch.float32)
        less = 0 if padding == "same" else window_size - 1
        size = (*x.shape[:2], x.shape[2] - less, x.shape[3] - less)
        value = torch.full((), torch.nan, dtype=computed)
        similarity = torch.full(size, torch.nan, dtype=computed)
        of_x, of_y = (torch.full(x.shape, torch.nan, dtype=computed) for _ in range(2))
        blend = Blend(1, -1, 0) if alpha is None else Blend(0, alpha, 1 - alpha)
        call = Call(
            x.data_ptr(),
            y.data_ptr(),
            tuple(x.shape),
            x.stride(),
            y.stride(),
            Options(window_size, 1.5, 1e-4, 9e-4, padding == "same"),
            blend,
            None if grad_map is None else grad_map.data_ptr(),
            value.data_ptr(),
            similarity.data_ptr() if gradients == 0 else None,
            of_x.data_ptr() if gradients > 0 else None,
            of_y.data_ptr() if gradients > 1 else None,
        )
        getattr(library, f"run_{NAMES[x.dtype]}")(ctypes.byref(call))
        return value, similarity, of_x, of_y

    return run


def images(shape, dtype):
    generator = torch.Generator().manual_seed(sum(shape))
    clean, noise = torch.rand((2, *shape), generator=generator, dtype=torch.float64)
    return clean.to(dtype), (0.7 * clean + 0.3 * noise).to(dtype)


def check(actual, function, x, y, grad=None, **options):
    """A value or a map and both gradients by the acceptance rule."""
    results = []
    for dtype in (x.dtype, torch.float64):
        leaves = [image.to(dtype).requires_grad_() for image in (x, y)]
        result = function(*leaves, **options)
        upstream = torch.ones_like(result) if grad is None else grad.to(result.dtype)
        gradients = torch.autograd.grad(result, leaves, upstream)
        results.append([tensor.detach() for tensor in (result, *gradients)])
    for index, (a, control, exact) in enumerate(zip(actual, *results, strict=True)):
        if a is not None:
            factor = GRADIENT_FACTOR if index else VALUE_FACTOR
            assert_no_worse(a.to(control.dtype), control, exact, factor, float64_units=4096)


# A strip of the kernel is up to 504 columns wide without gradients, up to 240 with them, and a
# band here 32 rows high.
@pytest.mark.parametrize("dtype", NAMES, ids=str)
@pytest.mark.parametrize(
    ("shape", "window_size", "padding"),
    [
        ((1, 1, 11, 11), 11, "valid"),
        ((2, 3, 13, 29), 11, "valid"),
        ((1, 1, 70, 140), 11, "valid"),
        ((1, 2, 1, 7), 11, "same"),
        ((1, 1, 20, 506), 11, "same"),
        ((1, 1, 33, 241), 9, "same"),
        ((1, 1, 12, 250), 9, "valid"),
        ((1, 2, 34, 105), 7, "same"),
        ((1, 1, 20, 150), 5, "valid"),
        ((1, 1, 5, 135), 33, "same"),
        ((1, 1, 34, 40), 33, "valid"),
        ((1, 1, 4, 3), 3, "same"),
        ((1, 1, 9, 40), 1, "valid"),
    ],
    ids=str,
)
def test_kernels_on_the_host(kernels, shape, window_size, padding, dtype):
    x, y = images(shape, dtype)
    options = {"window_size": window_size, "padding": padding}

    value, _, of_x, of_y = kernels(x, y, **options)
    check((value, of_x, of_y), reference.ssim, x, y, **options)

    value, _, of_x, _ = kernels(x, y, alpha=0.3, gradients=1, **options)
    check((value, of_x, None), reference.ssim_mse_loss, x, y, alpha=0.3, **options)

    value, similarity, *_ = kernels(x, y, gradients=0, alpha=0.3, **options)
    check((value, None, None), reference.ssim_mse_loss, x, y, alpha=0.3, **options)
    map_options = options | {"reduction": "none"}
    check((similarity, None, None), reference.ssim, x, y, **map_options)

    grad = torch.rand(similarity.shape, dtype=similarity.dtype)
    _, _, of_x, of_y = kernels(x, y, grad_map=grad, **options)
    check((None, of_x, of_y), reference.ssim, x, y, grad, **map_options)


def cropped(tensor):
    """A part of wider rows, aligned as they are; its own width is no multiple of four."""
    wide = torch.nn.functional.pad(tensor, (8, 8 + -tensor.shape[-1] % 4), value=7.0)
    return wide[..., 8 : 8 + tensor.shape[-1]]


@pytest.mark.parametrize("width", (17, 20))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
@pytest.mark.parametrize("layout", (*LAYOUTS, cropped))
def test_layouts_on_the_host(kernels, layout, dtype, width):
    """Rows that are loaded four columns at a time and rows that are not give the same."""
    x, y = images((2, 3, 13, width), dtype)
    for window_size, gradients in ((11, 2), (11, 0), (5, 1)):
        expected = kernels(x, y, window_size, "same", gradients=gradients)
        actual = kernels(layout(x), layout(y), window_size, "same", gradients=gradients)
        for a, e in zip(actual, expected, strict=True):
            assert torch.equal(a.isnan(), e.isnan())
            assert torch.equal(a.nan_to_num(), e.nan_to_num())


def test_a_bad_pixel_spoils_only_its_windows_on_the_host(kernels):
    """A window that the kernel is not compiled for, too: taps of 0 would spread a NaN."""
    for window_size in (5, 7, 11):
        x, y = images((1, 1, 40, 150), torch.float32)
        x[0, 0, 0, 0] = x[0, 0, 20, 130] = torch.nan
        spoilt = torch.nn.functional.max_pool2d(x.isnan().float(), window_size, stride=1) > 0
        similarity = kernels(x, y, window_size, "valid", gradients=0)[1]
        assert torch.equal(similarity.isnan(), spoilt)


@pytest.mark.parametrize("window", (7, 9, 11, 0))
def test_compiled_for_a_gpu(window):
    """Sums stay in registers, 16 warps a multiprocessor; rows are loaded in wide pieces."""
    kernels = [
        f"vqe_fast::ssim_kernel<float, float, {window}, {gradients}>"
        "(vqe_fast::SsimLaunch<float, float>)"
        for gradients in range(3)
    ]
    for name, kernel in compile_kernels(["ssim/ssim_kernel.cuh"], kernels).items():
        assert kernel.stack <= (16 if window == 0 else 0), name
        assert kernel.spills <= (16 if window == 0 else 0), name
        assert kernel.registers <= 128, name
        assert kernel.shared <= 32 * 1024, name
        assert "LDG.E.128" in kernel.sass, name
        assert "STS.128" in kernel.sass, name
        assert window == 0 or "LDS.128" in kernel.sass, name
