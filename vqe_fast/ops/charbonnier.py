"""Charbonnier loss as a fused operator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vqe_fast import reference
from vqe_fast.ops import _library
from vqe_fast.ops._autocast import in_one_dtype
from vqe_fast.ops._autograd import differentiable, reference_gradients, scaled, wants_reference
from vqe_fast.ops._backend import use_kernel
from vqe_fast.ops._checks import REDUCTIONS, check_pair, check_positive, check_reduction
from vqe_fast.ops._layout import inverse, memory_order
from vqe_fast.ops._weight import check_weight
from vqe_fast.reference._reduction import reduced

# The smallest and the largest ε whose square is a number above 0 of what tensors are computed in.
_EPS = {
    dtype: (
        math.sqrt(torch.finfo(dtype).tiny * torch.finfo(dtype).eps),
        math.sqrt(torch.finfo(dtype).max),
    )
    for dtype in (torch.float32, torch.float64)
}
_NOTHING = (None,)
_LEAST, _MOST = _EPS[torch.float32]


def charbonnier_loss(
    input: Tensor,
    target: Tensor,
    eps: float = 1e-6,
    reduction: str = "mean",
    *,
    weight: Tensor | None = None,
) -> Tensor:
    """Charbonnier loss, a differentiable L1: ρ(x) = √(x² + ε²) of x = input − target.

    ε is squared here. BasicSR and MMagic put their ``eps`` under the root as it is, 1e-12 unless it
    is given, which is ε = 1e-6; Kornia's loss is that of ε = 1, less 1.

    Gradients flow to ``input`` and ``target``, whichever asks for one. Under autocast the loss is
    computed and returned in float32. 16-bit tensors are computed in float32.

    Args:
        input: any shape; float64, float32, bfloat16 or float16. |x| must stay below 1e19, where
            x² leaves the range of float32 (1e154 in float64).
        target: the shape and device of ``input``; of two dtypes the wider one is used.
        eps: ε, in the units of the values; its square must be a number of float32 (3.8e-23 and
            more), or of float64 for float64 tensors.
        reduction: ``"mean"``, ``"sum"``, or ``"none"`` for the loss of each element.
        weight: w of each element, a tensor that broadcasts to the shape of ``input``, of any real
            dtype, bool for a mask. The result is the mean (over the number of elements, not over
            the sum of w), the sum or each of w·ρ.

    Returns:
        A scalar, or a tensor of the shape of ``input``, in its dtype.

    Raises:
        TypeError: an argument is not a floating-point tensor, or ``eps`` not a number.
        ValueError: the shapes or devices differ, ``weight`` does not broadcast, ``eps`` is not
            above 0 or has no square, or ``reduction`` is unknown.
    """
    check_pair(input, target)
    check_reduction(reduction)
    if weight is not None:
        check_weight(weight, input.shape, input.device)
        return reduced(charbonnier_loss(input, target, eps, "none"), reduction, weight)
    input, target = in_one_dtype(input, target)
    # Of any other kind or size it is looked at more closely.
    if type(eps) is not float or not _LEAST <= eps <= _MOST:
        _check_eps(eps, input.dtype)
    if not use_kernel("charbonnier", input, target):
        return reference.charbonnier_loss(input, target, eps, reduction)
    order = memory_order(input, target)
    if order is not None:
        input, target = input.permute(order), target.permute(order)
    wanted = reduction != "none" and _gradient_is_wanted(input, target)
    loss: Tensor = _operator(input, target, eps, REDUCTIONS[reduction], wanted)
    return loss if order is None or reduction != "none" else loss.permute(inverse(order))


def _check_eps(eps: Any, dtype: torch.dtype) -> None:
    """Raises unless ε is a number whose square is one above 0 in what a dtype is computed in.

    Says what call was meant where other libraries have something else in the third place.
    """
    if isinstance(eps, str):
        raise TypeError(
            f"eps must be a number, got {eps!r}; a reduction is given by name: "
            f"charbonnier_loss(input, target, reduction={eps!r})"
        )
    if isinstance(eps, Tensor) and eps.dim() > 0:
        raise TypeError(
            "eps must be a number, got a tensor; a map of weights is given by name: "
            "charbonnier_loss(input, target, weight=…)"
        )
    check_positive("eps", eps)
    least, most = _EPS[torch.float64 if dtype == torch.float64 else torch.float32]
    if not least <= eps <= most:
        raise ValueError(
            f"eps must be {least:.1e} to {most:.1e} for {dtype}, where its square "
            f"would be 0 or infinite otherwise; got {eps}"
        )


def _gradient_is_wanted(input: Tensor, target: Tensor) -> bool:
    """Whether the gradient of a mean or sum is to be computed along with it.

    Not in float16: before the gradient of the loss scales it, it may be too small for that.
    """
    wanted = torch.is_grad_enabled() and (input.requires_grad or target.requires_grad)
    return wanted and input.dtype != torch.float16


def _fake(
    input: Tensor, target: Tensor, eps: float, reduction: int, wanted: bool
) -> tuple[Tensor, Tensor]:
    if reduction == REDUCTIONS["none"]:
        return input.new_empty(input.shape), input.new_empty(0)
    return input.new_empty(()), input.new_empty(input.shape if wanted else 0)


def _fake_backward(
    grad_output: Tensor, input: Tensor, target: Tensor, eps: float, reduction: int
) -> Tensor:
    return input.new_empty(input.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    input, target, ctx.eps, ctx.reduction, wanted = inputs
    ctx.save_for_backward(input, target)
    ctx.wanted = wanted and ctx.reduction != REDUCTIONS["none"]


def _backward(ctx, grad_output: Tensor):  # type: ignore[no-untyped-def]
    needed = ctx.needs_input_grad[:2]
    if wants_reference(grad_output):
        name = next(name for name, number in REDUCTIONS.items() if number == ctx.reduction)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            return reference.charbonnier_loss(x, y, ctx.eps, name)

        gradients = reference_gradients(loss, ctx.saved_tensors, needed, grad_output)
        return *gradients, None, None, None
    # The gradient is this node's own until it is handed on, so it is scaled in place. One thread
    # takes it; who comes later, with retain_graph, gets a new one.
    (gradient,) = vars(ctx).pop("kept", _NOTHING)
    # ρ is even: the gradient of the target is that of the input with its sign changed.
    if gradient is None or not ctx.wanted:
        input, target = ctx.saved_tensors
        pair = (input, target) if needed[0] else (target, input)
        gradient = torch.ops.vqe_fast.charbonnier_loss_backward(
            grad_output, *pair, ctx.eps, ctx.reduction
        )
    else:
        gradient = scaled(gradient, grad_output if needed[0] else -grad_output)
    if not needed[0]:
        return None, gradient, None, None, None
    return gradient, -gradient if needed[1] else None, None, None, None


def _cuda(
    input: Tensor, target: Tensor, eps: float, reduction: int, wanted: bool
) -> tuple[Tensor, Tensor]:
    from vqe_fast.kernels import charbonnier

    return charbonnier.charbonnier_loss(input, target, eps, reduction, wanted)


def _cuda_backward(
    grad_output: Tensor, input: Tensor, target: Tensor, eps: float, reduction: int
) -> Tensor:
    from vqe_fast.kernels import charbonnier

    return charbonnier.charbonnier_loss_backward(grad_output, input, target, eps, reduction)


_operator = differentiable("charbonnier_loss", _setup_context, _backward, keeps=True)

if _library.cpu_problem is None:
    _NAME = "vqe_fast::charbonnier_loss"
    torch.library.register_fake(_NAME, _fake)
    torch.library.register_fake(f"{_NAME}_backward", _fake_backward)
    torch.library.impl(_NAME, "CUDA", _cuda)
    torch.library.impl(f"{_NAME}_backward", "CUDA", _cuda_backward)
