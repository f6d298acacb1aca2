"""Charbonnier loss in Triton."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from vqe_fast.kernels._operands import accumulator, aligned, known_multiple, wide

BLOCK = 4096
NONE, MEAN = 0, 1


@triton.jit
def _loaded(p_values, o_block, m_block, ACC: tl.constexpr):
    return tl.load(p_values + o_block, mask=m_block, other=0.0).to(ACC)


@triton.jit
def _difference(p_input, p_target, o_block, m_block, ACC: tl.constexpr):
    return _loaded(p_input, o_block, m_block, ACC) - _loaded(p_target, o_block, m_block, ACC)


@triton.jit
def _loss(b_difference, squared_eps):
    """Rounded to nearest: the root of a square is what was squared."""
    b_square = b_difference * b_difference + tl.full((), squared_eps, b_difference.dtype)
    if b_square.dtype == tl.float64:
        return tl.sqrt(b_square)
    else:
        return tl.sqrt_rn(b_square)


@triton.jit
def _slope(b_difference, b_loss):
    """Rounded to nearest: 1 or -1 far from 0."""
    if b_loss.dtype == tl.float64:
        return b_difference / b_loss
    else:
        return tl.div_rn(b_difference, b_loss)


@triton.jit(do_not_specialize=["count"])
def map_kernel(
    p_input,  # [count]
    p_target,  # [count]
    p_output,  # [count]
    count,
    squared_eps: tl.float64,
    WIDE: tl.constexpr,  # whether count is a multiple of 16
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    o_block = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_block = o_block < known_multiple(count, WIDE)
    b_difference = _difference(p_input, p_target, o_block, m_block, ACC)
    b_loss = _loss(b_difference, squared_eps)
    tl.store(p_output + o_block, b_loss.to(p_output.dtype.element_ty), mask=m_block)


@triton.jit(do_not_specialize=["count"])
def partial_sum_kernel(
    p_input,  # [count]
    p_target,  # [count]
    p_sums,  # [programs], ACC
    p_grad_input,  # [count] if wanted, else anything
    count,
    squared_eps: tl.float64,
    weight: tl.float64,  # of each value in the result
    wanted,  # whether the gradient is
    WIDE: tl.constexpr,  # whether count is a multiple of 16
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i_program = tl.program_id(0)
    o_block = i_program.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_block = o_block < known_multiple(count, WIDE)
    b_difference = _difference(p_input, p_target, o_block, m_block, ACC)
    b_loss = _loss(b_difference, squared_eps)
    tl.store(p_sums + i_program, tl.sum(tl.where(m_block, b_loss, 0.0), axis=0))
    if wanted:
        b_grad_input = _slope(b_difference, b_loss) * tl.full((), weight, ACC)
        b_grad_input = b_grad_input.to(p_grad_input.dtype.element_ty)
        tl.store(p_grad_input + o_block, b_grad_input, mask=m_block)


@triton.jit(do_not_specialize=["count"])
def gradient_kernel(
    p_grad_output,  # [count] if PER_VALUE, else one value
    p_input,  # [count]
    p_target,  # [count]
    p_grad_input,  # [count]
    count,
    squared_eps: tl.float64,
    weight: tl.float64,  # of each value in the result
    PER_VALUE: tl.constexpr,
    WIDE: tl.constexpr,  # whether count is a multiple of 16
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    o_block = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_block = o_block < known_multiple(count, WIDE)
    b_difference = _difference(p_input, p_target, o_block, m_block, ACC)
    b_slope = _slope(b_difference, _loss(b_difference, squared_eps))
    if PER_VALUE:
        b_grad = _loaded(p_grad_output, o_block, m_block, ACC)
    else:
        b_grad = tl.load(p_grad_output).to(ACC) * tl.full((), weight, ACC)
    b_grad_input = (b_grad * b_slope).to(p_grad_input.dtype.element_ty)
    tl.store(p_grad_input + o_block, b_grad_input, mask=m_block)


def charbonnier_loss(
    input: Tensor, target: Tensor, eps: float, reduction: int, wanted: bool
) -> tuple[Tensor, Tensor]:
    """The operator ``charbonnier_loss`` of ``csrc/library.cpp``."""
    input, target = (aligned(tensor.contiguous()) for tensor in (input, target))
    count = input.numel()
    programs = triton.cdiv(count, BLOCK)
    options = {"WIDE": count % 16 == 0, "ACC": accumulator(input), "BLOCK": BLOCK}
    with torch.cuda.device_of(input):
        if reduction == NONE:
            output = input.new_empty(input.shape)
            if count:
                map_kernel[(programs,)](input, target, output, count, eps * eps, **options)
            return output, input.new_empty(0)
        sums = input.new_empty(programs, dtype=wide(input))
        grad_input = input.new_empty(input.shape if wanted else 0)
        if count:
            settings = (count, eps * eps, _weight(count, reduction), wanted)
            partial_sum_kernel[(programs,)](input, target, sums, grad_input, *settings, **options)
        total = sums.sum()
        return (total / count if reduction == MEAN else total).to(input.dtype), grad_input


def charbonnier_loss_backward(
    grad_output: Tensor, input: Tensor, target: Tensor, eps: float, reduction: int
) -> Tensor:
    """The operator ``charbonnier_loss_backward`` of ``csrc/library.cpp``."""
    tensors = (grad_output, input, target)
    grad_output, input, target = (aligned(tensor.contiguous()) for tensor in tensors)
    grad_input = input.new_empty(input.shape)
    count = input.numel()
    if count:
        with torch.cuda.device_of(input):
            gradient_kernel[(triton.cdiv(count, BLOCK),)](
                grad_output,
                input,
                target,
                grad_input,
                count,
                eps * eps,
                _weight(count, reduction),
                PER_VALUE=reduction == NONE,
                WIDE=count % 16 == 0,
                ACC=accumulator(input),
                BLOCK=BLOCK,
            )
    return grad_input


def _weight(count: int, reduction: int) -> float:
    return 1 / count if reduction == MEAN else 1.0
