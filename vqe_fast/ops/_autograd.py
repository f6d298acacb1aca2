"""Helpers of the operators' autograd formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def reference_gradients(
    function: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    grad_output: Tensor,
) -> list[Tensor | None]:
    """Gradients of ``function(*tensors)`` that can themselves be differentiated.

    The kernels have no derivative of their backward; when a caller asks for one
    (``create_graph=True``), the first derivative comes from the reference instead.

    Args:
        function: the operator in plain PyTorch.
        tensors: its tensor arguments.
        needed: for which of them a gradient is asked.
        grad_output: gradient of its result.

    Returns:
        A gradient for each tensor, nothing where it is not needed.
    """
    with torch.enable_grad():
        wanted = [tensor for tensor, need in zip(tensors, needed, strict=True) if need]
        gradients = iter(
            torch.autograd.grad(function(*tensors), wanted, grad_output, create_graph=True)
        )
    return [next(gradients) if need else None for need in needed]


def scaled(gradient: Tensor, scale: Tensor) -> Tensor:
    """``gradient``, which nobody else has, times ``scale``; in place unless it is traced."""
    if type(gradient) is not Tensor:
        return gradient * scale
    # A plain loss.backward() scales by 1; only a CPU tensor can be looked at for free.
    if scale.device.type == "cpu" and scale.dim() == 0 and scale.item() == 1:
        return gradient
    return gradient.mul_(scale)
