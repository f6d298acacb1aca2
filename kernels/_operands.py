"""What kernels and their launchers need to know of what they are handed."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


def aligned(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of one that starts where wide loads cannot: those are few, and each
    would need kernels of its own."""
    return tensor.clone() if tensor.data_ptr() % 16 else tensor


@triton.jit
def known_multiple(count, WIDE: tl.constexpr):
    """The count, which the compiler knows to be a multiple of 16 if it is: masks are then as wide
    as loads. Specialising on the count would give a third kernel for 1."""
    return count // 16 * 16 if WIDE else count


def accumulator(tensor: Tensor) -> tl.dtype:
    """What kernels compute in: float64 for float64, else float32."""
    return tl.float64 if tensor.dtype == torch.float64 else tl.float32


def wide(tensor: Tensor) -> torch.dtype:
    """The same as a dtype of torch."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
