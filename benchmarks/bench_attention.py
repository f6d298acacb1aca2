"""Cross-frame attention against plain PyTorch, SDPA in its variants, and FlexAttention.

Every implementation takes and gives maps in NCHW. Run: ``pytest benchmarks/bench_attention.py``;
compare medians within one group.
"""

import contextlib
import functools
import time

import pytest
import torch
from side_by_side import REPLAY, durations, peak_resident_bytes, replayed
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import pad, scaled_dot_product_attention

from vqe_fast import ops, reference

pytestmark = replayed


def positions_last(*maps):
    """(B, C, H, W) → (B, 1, H·W, C)."""
    return [tensor.flatten(2).mT.unsqueeze(1) for tensor in maps]


def as_map(attended, like):
    """(B, heads, H·W, C/heads) → (B, C, H, W)."""
    return attended.mT.reshape(like.shape[0], -1, *like.shape[2:])


def sdpa(query, key, value):
    q, k, v = positions_last(query, key, value)
    return as_map(scaled_dot_product_attention(q, k, v, scale=1.0), query)


def sdpa_padded(query, key, value):
    """Query and key with zeros up to the channels of the value, where flash attention runs."""
    q, k, v = (tensor.contiguous() for tensor in positions_last(query, key, value))
    missing = v.shape[-1] - q.shape[-1]
    q, k = pad(q, (0, missing)), pad(k, (0, missing))
    return as_map(scaled_dot_product_attention(q, k, v, scale=1.0), query)


def sdpa_split(query, key, value):
    """The value as several heads of as many channels as query and key."""
    heads = value.shape[1] // query.shape[1]
    q, k = (t.expand(-1, heads, -1, -1) for t in positions_last(query, key))
    v = value.flatten(2).unflatten(1, (heads, -1)).mT
    return as_map(scaled_dot_product_attention(q, k, v, scale=1.0), query)


@functools.cache
def compiled(function):
    return torch.compile(function)


def flex(query, key, value):
    q, k, v = positions_last(query, key, value)
    return as_map(compiled(flex_attention)(q, k, v, scale=1.0), query)


IMPLEMENTATIONS = {
    "vqe_fast": lambda: ops.cross_frame_attention,
    "eager": lambda: reference.cross_frame_attention,
    "compile": lambda: compiled(reference.cross_frame_attention),
    "sdpa": lambda: sdpa,
    "sdpa efficient": lambda: sdpa,
    "sdpa cudnn split": lambda: sdpa_split,
    "sdpa padded": lambda: sdpa_padded,
    "sdpa split": lambda: sdpa_split,
    "flex": lambda: flex,
}
BACKENDS = {
    "sdpa efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa cudnn split": SDPBackend.CUDNN_ATTENTION,
}
# Height, width and channels of query and key; the value has twice as many. On the CPU 6,144
# positions, on a GPU a frame of 1080p at a quarter and at an eighth of its size.
SIZES = {
    "cpu": ((64, 96, 128), (64, 96, 256)),
    "cuda": ((270, 480, 128), (135, 240, 256)),
}
CASES = [("cpu", torch.float32, "forward"), ("cpu", torch.float32, "both")]
CASES += [("cpu", torch.bfloat16, "forward"), ("cpu", torch.bfloat16, "both")]
if torch.cuda.is_available():
    CASES += [("cuda", torch.bfloat16, "forward"), ("cuda", torch.bfloat16, "both")]
RUNS = [(device, dtype, what, size) for device, dtype, what in CASES for size in SIZES[device]]
CHECKED_ROWS = 2


def missing(name, device, what):
    """Why an alternative cannot be measured; nothing if it can."""
    if device == "cpu" and name in BACKENDS:
        return "this backend is for GPUs"
    if device == "cpu" and name == "flex" and what == "both":
        return "FlexAttention has no backward on the CPU"
    if device == "cuda" and name in ("eager", "compile"):
        return "the map does not fit"
    return None


def maps(device, dtype, height, width, channels):
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, count, height, width) for count in (channels, channels, 2 * channels))
    query, key, value = (torch.randn(shape, generator=generator) for shape in shapes)
    spread = channels**-0.25
    return [t.to(device, dtype) for t in (spread * query, spread * key, value)]


def relative_error(actual, exact):
    return ((actual.double() - exact).norm() / exact.norm()).item()


def check(name, step, tensors, grad):
    """The output and the gradient of the first rows of queries, which depend on nothing else."""
    query, key, value = (tensor.detach().double() for tensor in tensors)
    rows = query[:, :, :CHECKED_ROWS].requires_grad_()
    expected = [reference.cross_frame_attention(rows, key, value)]
    expected += torch.autograd.grad(expected[0], rows, grad[:, :, :CHECKED_ROWS].double())
    allowed = 1e-4 if tensors[0].dtype == torch.float32 else 2e-2
    for actual, exact in zip(step(), expected, strict=False):
        error = relative_error(actual[:, :, :CHECKED_ROWS], exact)
        assert error <= allowed, f"{name} is wrong by {error:.2g}"


@functools.cache
def measured(device, dtype, what, size):
    """name → seconds of each call, or why there are none; no time where the result is wrong."""
    tensors = maps(device, dtype, *size)
    if what == "both":
        tensors = [tensor.requires_grad_() for tensor in tensors]
    grad = torch.randn_like(tensors[2])
    steps, results = {}, {}
    for name, make in IMPLEMENTATIONS.items():
        if reason := missing(name, device, what):
            results[name] = reason
            continue
        function = make()

        def step(name=name, function=function):
            backend = BACKENDS.get(name)
            with sdpa_kernel(backend) if backend else contextlib.nullcontext():
                outcome = [function(*tensors)]
                if what == "both":
                    outcome += torch.autograd.grad(outcome[0], tensors, grad)
            if device == "cuda":
                torch.cuda.synchronize()
            return outcome

        try:
            check(name, step, tensors, grad)
        except RuntimeError as error:
            # An alternative may refuse these sizes or run out of memory; ours may not.
            if name == "vqe_fast":
                raise
            results[name] = str(error).partition("\n")[0]
            continue
        steps[name] = step
    return results | durations(steps)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize(("device", "dtype", "what", "size"), RUNS, ids=str)
def test_attention(benchmark, name, device, dtype, what, size):
    height, width, channels = size
    benchmark.group = f"attention {what} {(height, width)} ({channels}, {2 * channels}) "
    benchmark.group += f"{dtype} {device}"
    times = measured(device, dtype, what, size)[name]
    if isinstance(times, str):
        pytest.skip(times)
    products = 2 * (height * width) ** 2 * 3 * channels
    if what == "forward":
        fastest = products / min(times) / 1e12
        benchmark.extra_info["tera_operations_per_second"] = round(fastest, 3)
    REPLAY.hand_over(benchmark, times)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the ceiling is that of a GPU")
def test_matrix_product_ceiling(benchmark):
    """How fast products of bfloat16 matrices can be here."""
    benchmark.group = "bfloat16 matrix product, 8192³"
    a, b = torch.randn(2, 8192, 8192, dtype=torch.bfloat16, device="cuda")

    def step():
        a @ b
        torch.cuda.synchronize()

    times = durations({"matmul": step}, budget=2.0)["matmul"]
    benchmark.extra_info["tera_operations_per_second"] = round(2 * 8192**3 / min(times) / 1e12, 3)
    REPLAY.hand_over(benchmark, times)


@pytest.mark.parametrize("name", ("vqe_fast", "eager", "sdpa padded"))
def test_memory(benchmark, name):
    """Memory beyond the maps, the result included, of one frame of 832×480 at a quarter."""
    benchmark.group = "attention memory (120, 208) (128, 256) float32 cpu"
    tensors = maps("cpu", torch.float32, 120, 208, 128)
    function = IMPLEMENTATIONS[name]()
    seconds = []

    def step():
        begin = time.perf_counter()
        result = function(*tensors)
        seconds.append(time.perf_counter() - begin)
        return result

    benchmark.extra_info["peak_bytes"] = peak_resident_bytes(step)
    REPLAY.hand_over(benchmark, seconds)


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16), ids=str)
def test_whole_frame(benchmark, dtype):
    """A frame of 1080p at a quarter of its size, 129,600 positions: its map would be 62.6 GiB."""
    benchmark.group = f"attention forward (270, 480) (128, 256) {dtype} cpu"
    tensors = maps("cpu", dtype, 270, 480, 128)
    seconds = []

    def step():
        begin = time.perf_counter()
        attended = ops.cross_frame_attention(*tensors)
        seconds.append(time.perf_counter() - begin)
        return attended

    benchmark.extra_info["peak_bytes"] = peak_resident_bytes(step)
    attended = ops.cross_frame_attention(tensors[0][:, :, :1], *tensors[1:])
    exact = reference.cross_frame_attention(
        *(tensor.double() for tensor in (tensors[0][:, :, :1], *tensors[1:]))
    )
    assert relative_error(attended, exact) <= (1e-4 if dtype == torch.float32 else 2e-2)
    REPLAY.hand_over(benchmark, seconds)
