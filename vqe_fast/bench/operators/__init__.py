"""Benchmark cases of each operator, for ``vqe-fast bench`` and the suites."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from vqe_fast.bench.functions import Function
from vqe_fast.bench.operators.attention import attention
from vqe_fast.bench.operators.block_match import block_warp
from vqe_fast.bench.operators.charbonnier import charbonnier
from vqe_fast.bench.operators.fusion import fusion
from vqe_fast.bench.operators.modulation import modulation
from vqe_fast.bench.operators.ssim import ssim
from vqe_fast.bench.record import Direction

Builder = Callable[[tuple[int, ...], torch.dtype, str, Direction], Function]

BUILDERS: Mapping[str, Builder] = {
    "attention": attention,
    "block_match": block_warp,
    "charbonnier": charbonnier,
    "fusion": fusion,
    "modulation": modulation,
    "ssim": ssim,
}
"""Name of an operator → its main function, from shape, dtype, device and direction."""
