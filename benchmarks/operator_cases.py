"""What operators are called with on a GPU: shapes of real frames, odd sizes, layouts, dtypes.

``gpu_values.py`` compares these calls with float64, ``precompile.py`` compiles their kernels, and
``call_operators.py`` makes some of them under a profiler or a memory checker.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vqe_fast import ops, reference
from vqe_fast.bench.case import Sample
from vqe_fast.bench.functions import Function
from vqe_fast.bench.operators.attention import attention
from vqe_fast.bench.operators.block_match import block_warp
from vqe_fast.bench.operators.charbonnier import charbonnier
from vqe_fast.bench.operators.fusion import fusion, variance
from vqe_fast.bench.operators.modulation import modulation
from vqe_fast.bench.operators.ssim import ssim

FP64, FP32, BF16, FP16 = torch.float64, torch.float32, torch.bfloat16, torch.float16
PLANAR, LAST = "NCHW", "channels_last"
_FORMATS = {PLANAR: torch.contiguous_format, LAST: torch.channels_last}
_ENDS = [0, -1]
"""Rows of queries that are checked where float64 cannot afford all of them."""
_LONG = 30_000
"""Positions from which on it cannot."""


@dataclass(frozen=True)
class OperatorCase:
    """One call of an operator.

    Attributes:
        operator: its name.
        what: the function and its options.
        shape: of the first argument.
        dtype: of all arguments.
        layout: of all arguments that are images.
        build: makes the function, its definition and its inputs.
    """

    operator: str
    what: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: str
    build: Callable[[], Function]

    def __str__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{self.operator}: {self.what} {self.shape} {dtype} {self.layout}"

    def sample(self, function: Function) -> Sample:
        """Inputs of the function, lying as the case says."""
        return _laid(function.sample(0), _FORMATS[self.layout])


def operator_cases(device: str, tiny: bool) -> list[OperatorCase]:
    """All of them, those of real frames first; with ``tiny`` each on a few pixels."""
    parts = (_attention, _block_match, _charbonnier, _fusion, _modulation, _ssim)
    found = [case for part in parts for case in part(device, tiny)]
    # Tiny cases that differ in their size alone are one.
    return list({str(case): case for case in found}.values())


def _attention(device: str, tiny: bool) -> Iterator[OperatorCase]:
    for shape, dtypes, layout, direction in (
        ((1, 128, 270, 480), (BF16,), PLANAR, "both"),
        ((1, 256, 270, 480), (BF16,), PLANAR, "forward"),
        ((1, 128, 120, 208), (BF16,), LAST, "both"),
        ((1, 128, 67, 120), (BF16, FP16, FP32), PLANAR, "both"),
        ((1, 256, 67, 120), (BF16, FP32), LAST, "both"),
        ((2, 128, 52, 30), (BF16, FP16, FP32, FP64), PLANAR, "both"),
        ((2, 24, 52, 30), (BF16, FP32), LAST, "both"),
    ):
        size = (1, 16, 6, 7) if tiny else shape
        what = f"cross_frame_attention {direction}"
        for dtype in dtypes:
            build = functools.partial(_attended, size, dtype, device, direction)
            yield OperatorCase("attention", what, size, dtype, layout, build)


def _attended(shape: tuple[int, ...], dtype: torch.dtype, device: str, direction: str) -> Function:
    """All of the result and of all gradients; of long maps, the rows at their ends."""
    function = attention(shape, dtype, device, direction)
    if shape[2] * shape[3] < _LONG:
        return replace(function, part=lambda sample: sample, view=lambda results: results)
    return replace(function, part=_ends, view=_of_ends)


def _ends(sample: Sample) -> Sample:
    query, key, value = (tensor.detach() for tensor in sample.arguments)
    rows = query[:, :, _ENDS].requires_grad_(bool(sample.leaves))
    if sample.upstream is None:
        return Sample((rows, key, value))
    return Sample((rows, key, value), (rows,), sample.upstream[:, :, _ENDS])


def _of_ends(results: list[Tensor]) -> list[Tensor]:
    return [result[:, :, _ENDS] for result in results[:2]]


def _block_match(device: str, tiny: bool) -> Iterator[OperatorCase]:
    for shape, dtypes, layout, cell in (
        ((1, 1, 1080, 1920), (FP32, BF16), PLANAR, 1),
        ((2, 1, 67, 121), (FP64, FP32, BF16, FP16), PLANAR, 1),
        ((2, 2, 67, 60), (FP32, BF16), PLANAR, 2),
        ((2, 64, 270, 480), (FP32, BF16), PLANAR, 4),
        ((2, 24, 17, 30), (FP64, FP32, BF16, FP16), LAST, 4),
    ):
        size = (1, 2, 13, 21) if tiny else shape
        for dtype in dtypes:
            build = functools.partial(block_warp, size, dtype, device, "both", cell=cell)
            yield OperatorCase(
                "block_match", f"block_warp, cell {cell}", size, dtype, layout, build
            )


def _charbonnier(device: str, tiny: bool) -> Iterator[OperatorCase]:
    for shape, dtypes, layout in (
        ((8, 3, 1080, 1920), (FP32, BF16), PLANAR),
        ((2, 3, 67, 120), (FP64, FP32, BF16, FP16), PLANAR),
        ((3, 3, 52, 30), (FP32, BF16), LAST),
    ):
        size = (2, 3, 13, 7) if tiny else shape
        for dtype in dtypes:
            build = functools.partial(charbonnier, size, dtype, device, "both")
            yield OperatorCase("charbonnier", "charbonnier_loss", size, dtype, layout, build)


def _fusion(device: str, tiny: bool) -> Iterator[OperatorCase]:
    for shape, dtypes, layout in (
        ((2, 3, 1080, 1920), (FP32, BF16), PLANAR),
        ((2, 3, 67, 120), (FP64, FP32, BF16, FP16), PLANAR),
        ((2, 3, 52, 30), (FP32, BF16), LAST),
        ((2, 1, 52, 30), (FP32, FP16), PLANAR),
    ):
        size = (1, shape[1], 29, 31) if tiny else shape
        for dtype in dtypes:
            build = functools.partial(fusion, size, dtype, device, "both")
            yield OperatorCase("fusion", "astf_fuse, sharpened", size, dtype, layout, build)
    size = (1, 1, 29, 31) if tiny else (8, 1, 1080, 1920)
    build = functools.partial(variance, size, FP32, device)
    yield OperatorCase("fusion", "local_variance", size, FP32, PLANAR, build)


def _modulation(device: str, tiny: bool) -> Iterator[OperatorCase]:
    for shape, dtypes, layout in (
        ((4, 64, 540, 960), (FP32, BF16), LAST),
        ((1, 64, 540, 960), (FP32, BF16), PLANAR),
        ((2, 48, 67, 120), (FP64, FP32, BF16, FP16), LAST),
        ((2, 24, 67, 120), (FP32, BF16, FP16), PLANAR),
        ((1, 64, 52, 30), (FP32, BF16), LAST),
    ):
        size = (1, 8, 33, 21) if tiny else shape
        for dtype in dtypes:
            for gains in ("frame", "blocks"):
                build = functools.partial(modulation, size, dtype, device, "both", gains=gains)
                what = f"qp_modulate, gains of {gains}"
                yield OperatorCase("modulation", what, size, dtype, layout, build)


def _ssim(device: str, tiny: bool) -> Iterator[OperatorCase]:
    mixed = (ops.ssim_mse_loss, reference.ssim_mse_loss)
    several = (ops.ms_ssim_loss, reference.ms_ssim_loss)
    plain = (ops.ssim_loss, reference.ssim_loss)
    for shape, dtypes, layout, functions, options in (
        ((4, 3, 1080, 1920), (FP32, BF16), PLANAR, plain, {}),
        ((2, 3, 67, 120), (FP64, FP32, BF16, FP16), PLANAR, plain, {}),
        ((2, 3, 67, 120), (FP32, BF16), LAST, plain, {"padding": "same"}),
        ((2, 1, 52, 30), (FP32, BF16), PLANAR, plain, {"window_size": 7}),
        ((2, 1, 52, 30), (FP32, FP16), PLANAR, plain, {"window_size": 9}),
        ((2, 3, 52, 30), (FP32, BF16), PLANAR, mixed, {}),
        ((1, 3, 1080, 1920), (FP32,), PLANAR, several, {}),
    ):
        size = (1, 2, 24, 33) if tiny else shape
        if tiny and functions is several:
            options = {"weights": (0.5, 0.5)}
        for dtype in dtypes:
            build = functools.partial(_similarity, size, dtype, device, functions, options)
            told = "".join(f", {name} {value}" for name, value in options.items())
            what = f"{functions[0].__name__}{told}"
            yield OperatorCase("ssim", what, size, dtype, layout, build)


def _similarity(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: str,
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor]],
    options: dict[str, object],
) -> Function:
    ours, plain = (functools.partial(function, **options) for function in functions)
    return replace(ssim(shape, dtype, device, "both"), ours=ours, plain=plain)


def _laid(sample: Sample, memory_format: torch.memory_format) -> Sample:
    known = {
        id(tensor): tensor.detach()
        .contiguous(memory_format=memory_format)
        .requires_grad_(tensor.requires_grad)
        for tensor in sample.arguments
    }
    upstream = sample.upstream
    if upstream is not None:
        upstream = upstream.contiguous(memory_format=memory_format)
    arguments, leaves = ([known[id(t)] for t in of] for of in (sample.arguments, sample.leaves))
    return Sample(tuple(arguments), tuple(leaves), upstream)
