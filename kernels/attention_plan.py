"""How the kernels of cross-frame attention are launched: tiles, warps, and parts of a long loop."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl

KERNELS = ("forward", "grad_query", "grad_key", "grad_value")
_MOST_SPLITS = 16
_OPERATIONS_A_BYTE = 100
"""How many operations of a matrix product take as long as a byte to or from a cache."""


class Device(NamedTuple):
    """What a plan needs to know of a GPU; ``arch`` is the compute capability times ten."""

    arch: int
    multiprocessors: int


class Plan(NamedTuple):
    """Constants of a kernel and how it is compiled."""

    constants: dict[str, object]
    num_warps: int
    num_stages: int

    @property
    def options(self) -> dict[str, object]:
        """What a launch takes."""
        compiled = {"num_warps": self.num_warps, "num_stages": self.num_stages}
        return self.constants | compiled | {"enable_fp_fusion": True}


class _Tiles(NamedTuple):
    block_m: int
    block_n: int
    most_d: int
    most_c: int
    num_warps: int
    num_stages: int
    tail: bool = False
    ahead: bool = False


def parts(dtype: torch.dtype, precision: str) -> int:
    """How many maps of 16 bits a map is split into: float32 has 24 bits of mantissa, three times 8.

    Where TF32, 11 bits, is allowed (``precision`` "tf32"), two parts are enough.
    """
    if dtype != torch.float32:
        return 1
    return 2 if precision == "tf32" else 3


def padded(channels: int) -> int:
    """Channels of a copied map: a power of two, rows of 64 bytes or more."""
    return max(32, 1 << (channels - 1).bit_length())


def plan(
    kernel: str,
    dtype: torch.dtype,
    channels: int,
    value_channels: int,
    arch: int,
    precision: str = "ieee",
) -> Plan:
    """How to launch one of ``KERNELS``: the first of its ``variants``."""
    asked = (kernel, dtype, channels, value_channels, arch, precision)
    return next(iter(variants(*asked).values()))


def variants(
    kernel: str,
    dtype: torch.dtype,
    channels: int,
    value_channels: int,
    arch: int,
    precision: str = "ieee",
) -> dict[str, Plan]:
    """Plans to choose from, by name; they differ in speed alone.

    Chosen by compiling: nothing is spilled, and tiles stay within the shared memory of a block.

    Args:
        kernel: one of ``KERNELS``.
        dtype: of the maps.
        channels: of query and key.
        value_channels: of the value.
        arch: compute capability times ten.
        precision: "ieee" or "tf32", of products of float32.
    """
    split = parts(dtype, precision)
    d, c = padded(channels), padded(value_channels)
    constants: dict[str, object] = {
        "D": d,
        "C": c,
        "DTYPE": _TRITON_DTYPES[torch.bfloat16 if split > 1 else dtype],
        "ACC": tl.float64 if dtype == torch.float64 else tl.float32,
        "PARTS": split,
        "TMA": arch >= 90 and dtype != torch.float64,
    }
    if kernel in ("grad_key", "grad_value"):
        constants["OF_VALUE"] = kernel == "grad_value"
    named = {}
    for tiles in _tiles(kernel, dtype, split, d, c, arch):
        chosen = {
            "BLOCK_D": min(d, tiles.most_d),
            "BLOCK_C": min(c, tiles.most_c),
            "BLOCK_M": tiles.block_m,
            "BLOCK_N": tiles.block_n,
        }
        name = f"{tiles.block_m}x{tiles.block_n}, {tiles.num_stages} stages"
        if kernel in ("forward", "grad_query"):
            chosen["TAIL"] = tiles.tail
            name += ", tail" * tiles.tail
        if kernel == "forward":
            chosen["AHEAD"] = tiles.ahead
            name += ", ahead" * tiles.ahead
        named[name] = Plan(constants | chosen, tiles.num_warps, tiles.num_stages)
    return named


def split_length(
    kernel: str,
    chosen: Plan,
    batch: int,
    positions: int,
    looped: int,
    multiprocessors: int,
) -> int:
    """How many of the positions that a kernel loops over one program goes through.

    All of them, unless more programs fill the GPU so much better that it is worth their sums, each
    written and read again: the fewest programs that come within 5 % of the best. The answer
    depends on the arguments alone.

    Args:
        kernel: one of ``KERNELS``.
        chosen: its plan.
        batch: number of images.
        positions: what programs are divided over: queries, or keys in the gradients of keys.
        looped: keys, or queries in the gradients of keys.
        multiprocessors: of the GPU.

    Returns:
        A multiple of what the loop takes at a time.
    """
    block, step, d, c, block_d, block_c = (
        int(chosen.constants[name])  # type: ignore[call-overload]
        for name in ("BLOCK_M", "BLOCK_N", "D", "C", "BLOCK_D", "BLOCK_C")
    )
    if kernel in ("grad_key", "grad_value"):
        block, step = step, block
    summed, block_s = (c, block_c) if kernel in ("forward", "grad_value") else (d, block_d)
    multiplied = d + block_s + (c if kernel in ("grad_query", "grad_key") else 0)
    blocks = batch * triton.cdiv(positions, block) * (summed // block_s)
    products = {1: 1, 2: 3, 3: 6}[chosen.constants["PARTS"]]  # type: ignore[index]

    def cost(length: int) -> float:
        splits = int(triton.cdiv(looped, length))
        rounds = int(triton.cdiv(blocks * splits, multiprocessors))
        operations: float = 2 * products * multiplied * block * length * rounds * multiprocessors
        stored = 8 * splits * batch * positions * summed if splits > 1 else 0
        return operations + stored * _OPERATIONS_A_BYTE

    whole = int(triton.cdiv(looped, step))
    lengths = [int(triton.cdiv(whole, splits)) * step for splits in range(1, _MOST_SPLITS + 1)]
    enough = 1.05 * min(map(cost, lengths))
    chosen_length: int = next(length for length in lengths if cost(length) <= enough)
    return chosen_length


def _tiles(kernel: str, dtype: torch.dtype, split: int, d: int, c: int, arch: int) -> list[_Tiles]:
    if dtype == torch.float64:
        most_d, most_c = (32, 16) if kernel in ("grad_query", "grad_key") else (16, 64)
        return [_Tiles(32, 16, most_d, most_c, 8, 2)]
    if arch < 90 or d > 256 or c > 512:
        return [_on_any(kernel, split)]
    if split > 1:
        return [_of_parts(kernel, split, d > 128 or c > 256)]
    return _of_16_bits(kernel, d > 128 or c > 256)


def _on_any(kernel: str, split: int) -> _Tiles:
    """For sm_80, and for any number of channels."""
    if split > 1:
        return {
            "forward": _Tiles(64, 32, 64, 128, 8, 2),
            "grad_query": _Tiles(64, 16, 64, 32, 8, 2),
            "grad_key": _Tiles(16, 64, 64, 32, 8, 2),
            "grad_value": _Tiles(32, 64, 64, 128, 8, 2),
        }[kernel]
    return {
        "forward": _Tiles(64, 32, 256, 256, 8, 2, tail=True),
        "grad_query": _Tiles(64, 32, 128, 128, 8, 2, tail=True),
        "grad_key": _Tiles(32, 64, 128, 128, 8, 2),
        "grad_value": _Tiles(32, 64, 128, 256, 8, 2),
    }[kernel]


def _of_parts(kernel: str, split: int, wide: bool) -> _Tiles:
    """For float32 on sm_90; ``wide``: more channels than (128, 256)."""
    if kernel == "forward":
        return _Tiles(128, 32, 64 if wide else 128, 128, 8, 2)
    if kernel == "grad_value":
        return _Tiles(32, 128, 64 if wide else 128, 128, 8, 2)
    tiles = _Tiles(128, 32, 128, 64, 8, 2) if split == 2 else _Tiles(128, 64, 64, 64, 8, 2)
    if kernel == "grad_key":
        return tiles._replace(block_m=tiles.block_n, block_n=tiles.block_m)
    return tiles


def _of_16_bits(kernel: str, wide: bool) -> list[_Tiles]:
    """For sm_90; ``wide``: more channels than (128, 256)."""
    if kernel == "forward":
        return [
            _Tiles(128, 64, 256, 256, 8, 2 if wide else 3, tail=True, ahead=True),
            _Tiles(128, 64, 256, 256, 8, 2 if wide else 3, tail=True),
            _Tiles(128, 32, 256, 256, 8, 3, tail=True, ahead=True),
        ]
    if kernel == "grad_value":
        return [_Tiles(64, 128, 256, 256, 8, 2), _Tiles(32, 128, 256, 256, 8, 3)]
    if kernel == "grad_query":
        if wide:
            return [_Tiles(64, 32, 256, 512, 4, 2)]
        return [_Tiles(128, 64, 128, 256, 8, 2, tail=True), _Tiles(128, 64, 128, 256, 8, 2)]
    return [_Tiles(32, 64, 256, 512, 4, 2) if wide else _Tiles(64, 128, 128, 256, 8, 2)]


_TRITON_DTYPES = {
    torch.float64: tl.float64,
    torch.float32: tl.float32,
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
}
