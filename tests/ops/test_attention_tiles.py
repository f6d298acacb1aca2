"""The attention kernels for AMX, compiled as they ship, run with an emulation of instructions
that this processor may lack; where it has them test_attention.py runs the real ones."""

import ctypes
import sys

import pytest
import torch

from support.contract import ISA_LEVELS
from support.errors import GRADIENT_FACTOR, VALUE_FACTOR, assert_no_worse
from support.host_build import host_library
from support.layouts import channels_last, contiguous
from support.workers import shared_folder
from vqe_fast import _host as host
from vqe_fast import reference


class Map(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("channels", ctypes.c_int64),
        ("positions", ctypes.c_int64),
        ("channel_step", ctypes.c_int64),
        ("position_step", ctypes.c_int64),
    )


@pytest.fixture(scope="module")
def attend(tmp_path_factory):
    if ISA_LEVELS.index(host.best_isa()) < ISA_LEVELS.index("avx512"):
        pytest.skip(f"the kernel is AVX-512 but for its tiles, this processor {host.best_isa()}")
    if sys.platform != "linux":
        pytest.skip("the emulation is for Linux")
    # As setup.py compiles: what the compiler makes of the instructions is what is tested.
    options = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
    folder = shared_folder(tmp_path_factory, "on_host")
    library = host_library("attention_on_host.cpp", folder, *options)

    def run(query, key, value, scale, grad=None):
        """(output, maximum, sum) of one image, NaN where nothing was written; and the gradients of
        query, key and value, if that of the output is given."""
        output = torch.full((1, value.shape[1], *query.shape[2:]), torch.nan, dtype=torch.bfloat16)
        maximum, total = torch.full((2, *query.shape[2:]), torch.nan)
        maps = [as_map(tensor) for tensor in (query, key, value)]
        factor = ctypes.c_double(scale)
        library.attend(*maps, factor, *addresses(output, maximum, total))
        if grad is None:
            return output, maximum, total
        expected = torch.full(query.shape[2:], torch.nan)
        gradients = [torch.zeros(tensor.shape) for tensor in (query, key, value)]
        maps += [as_map(grad), as_map(output)]
        library.attend_backward(*maps, factor, *addresses(maximum, total, expected, *gradients))
        return output, maximum, total, *gradients

    return run


def as_map(tensor):
    _, channels, height, width = tensor.shape
    _, channel_step, _, position_step = tensor.stride()
    one = Map(tensor.data_ptr(), channels, height * width, channel_step, position_step)
    return ctypes.byref(one)


def addresses(*tensors):
    return [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]


# A tile holds 16 rows, 16 columns and 16 pairs, a block 192 keys.
@pytest.mark.parametrize("layout", (contiguous, channels_last))
@pytest.mark.parametrize(
    ("channels", "value_channels", "queries", "keys", "scale"),
    [
        (16, 16, (4, 4), (4, 4), 1.0),
        (33, 40, (3, 11), (7, 11), -0.5),
        (64, 31, (5, 80), (20, 20), 0.3),
        (32, 32, (1, 2), (1, 2), 0.0),
    ],
)
def test_tiles_on_the_host(attend, layout, channels, value_channels, queries, keys, scale):
    generator = torch.Generator().manual_seed(channels)
    query, key, value = (
        layout(torch.randn(1, count, *size, generator=generator).bfloat16())
        for count, size in ((channels, queries), (channels, keys), (value_channels, keys))
    )
    grad = torch.randn(1, value_channels, *queries, generator=generator).bfloat16()
    output, maximum, total, *gradients = attend(query, key, value, scale, layout(grad))
    results = []
    for dtype in (torch.bfloat16, torch.float64):
        leaves = [tensor.to(dtype).requires_grad_() for tensor in (query, key, value)]
        result = reference.cross_frame_attention(*leaves, scale=scale)
        results.append([result.detach(), *torch.autograd.grad(result, leaves, grad.to(dtype))])
    actual = [output, *(gradient.bfloat16() for gradient in gradients)]
    for index, (a, control, exact) in enumerate(zip(actual, *results, strict=True)):
        assert_no_worse(a, control, exact, GRADIENT_FACTOR if index else VALUE_FACTOR)
    wide = [tensor.double() for tensor in (query, key)]
    logits = scale * torch.einsum("bdhw,bdn->hwn", wide[0], wide[1].flatten(2))
    logarithm = abs(scale) * maximum + total.log()
    torch.testing.assert_close(logarithm.double(), logits.logsumexp(-1), rtol=1e-4, atol=1e-4)


def test_growing_logits_on_the_host(attend):
    """Tiles cannot be scaled: the maximum lags behind by up to 2^8, and must follow beyond."""
    query, key = torch.ones(1, 2, 3, 7), torch.ones(1, 2, 24, 50)
    key *= torch.linspace(-60, 60, 1200).view(24, 50)
    value = torch.randn(1, 5, 24, 50, generator=torch.Generator().manual_seed(1))
    tensors = [tensor.bfloat16() for tensor in (query, key, value)]
    output, maximum, _ = attend(*tensors, 1.0)
    control = reference.cross_frame_attention(*tensors)
    exact = reference.cross_frame_attention(*(tensor.double() for tensor in tensors))
    assert_no_worse(output, control, exact, VALUE_FACTOR)
    assert (maximum > 120 - 8).all()
