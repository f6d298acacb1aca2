"""Charbonnier loss in Triton."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096
NONE, MEAN = 0, 1


@triton.jit
def _loaded(p_values, o_block, m_block, ACC: tl.constexpr):
    return tl.load(p_values + o_block, mask=m_block, other=0.0).to(ACC)


@triton.jit
def _difference(p_input, p_target, o_block, m_block, ACC: tl.constexpr):
    return _loaded(p_input, o_block, m_block, ACC) - _loaded(p_target, o_block, m_block, ACC)


@triton.jit
def map_kernel(
    p_input,  # [count]
    p_target,  # [count]
    p_output,  # [count]
    count,
    EPS: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    o_block = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_block = o_block < count
    b_difference = _difference(p_input, p_target, o_block, m_block, ACC)
    b_loss = tl.sqrt(b_difference * b_difference + EPS * EPS)
    tl.store(p_output + o_block, b_loss.to(p_output.dtype.element_ty), mask=m_block)


@triton.jit(do_not_specialize=["divisor"])  # 1 would become a constant, which has no dtype
def partial_sum_kernel(
    p_input,  # [count]
    p_target,  # [count]
    p_sums,  # [programs], ACC
    p_grad_input,  # [count] if WANTED, else anything
    count,
    divisor,
    EPS: tl.constexpr,
    WANTED: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    i_program = tl.program_id(0)
    o_block = i_program.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_block = o_block < count
    b_difference = _difference(p_input, p_target, o_block, m_block, ACC)
    b_loss = tl.sqrt(b_difference * b_difference + EPS * EPS)
    tl.store(p_sums + i_program, tl.sum(tl.where(m_block, b_loss, 0.0), axis=0))
    if WANTED:
        b_grad_input = (b_difference / b_loss / divisor.to(ACC)).to(p_grad_input.dtype.element_ty)
        tl.store(p_grad_input + o_block, b_grad_input, mask=m_block)


@triton.jit(do_not_specialize=["divisor"])
def gradient_kernel(
    p_grad_output,  # [count] if PER_VALUE, else one value
    p_input,  # [count]
    p_target,  # [count]
    p_grad_input,  # [count]
    count,
    divisor,
    EPS: tl.constexpr,
    PER_VALUE: tl.constexpr,
    ACC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    o_block = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_block = o_block < count
    b_difference = _difference(p_input, p_target, o_block, m_block, ACC)
    b_slope = b_difference / tl.sqrt(b_difference * b_difference + EPS * EPS)
    if PER_VALUE:
        b_grad = _loaded(p_grad_output, o_block, m_block, ACC)
    else:
        b_grad = tl.load(p_grad_output).to(ACC) / divisor.to(ACC)
    b_grad_input = (b_grad * b_slope).to(p_grad_input.dtype.element_ty)
    tl.store(p_grad_input + o_block, b_grad_input, mask=m_block)


def charbonnier_loss(
    input: Tensor, target: Tensor, eps: float, reduction: int, wanted: bool
) -> tuple[Tensor, Tensor]:
    """The operator ``charbonnier_loss`` of ``csrc/library.cpp``."""
    input, target = input.contiguous(), target.contiguous()
    count = input.numel()
    programs = triton.cdiv(count, BLOCK)
    options = {"EPS": eps, "ACC": _accumulator(input), "BLOCK": BLOCK}
    with torch.cuda.device_of(input):
        if reduction == NONE:
            output = input.new_empty(input.shape)
            if count:
                map_kernel[(programs,)](input, target, output, count, **options)
            return output, input.new_empty(0)
        sums = input.new_empty(programs, dtype=_wide(input))
        grad_input = input.new_empty(input.shape if wanted else 0)
        if count:
            divisor = count if reduction == MEAN else 1
            partial_sum_kernel[(programs,)](
                input, target, sums, grad_input, count, divisor, WANTED=wanted, **options
            )
        total = sums.sum()
        return (total / count if reduction == MEAN else total).to(input.dtype), grad_input


def charbonnier_loss_backward(
    grad_output: Tensor, input: Tensor, target: Tensor, eps: float, reduction: int
) -> Tensor:
    """The operator ``charbonnier_loss_backward`` of ``csrc/library.cpp``."""
    grad_output, input, target = (t.contiguous() for t in (grad_output, input, target))
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
                count if reduction == MEAN else 1,
                EPS=eps,
                PER_VALUE=reduction == NONE,
                ACC=_accumulator(input),
                BLOCK=BLOCK,
            )
    return grad_input


def _accumulator(tensor: Tensor) -> tl.dtype:
    return tl.float64 if tensor.dtype == torch.float64 else tl.float32


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
