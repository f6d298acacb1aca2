"""How the operators are differentiated: their registration, and the helpers of their formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from vqe_fast.ops import _library


def is_transformed() -> bool:
    """Whether a transform of ``torch.func`` or forward-mode AD is at work.

    Kernels know neither their tensors nor their derivatives; plain PyTorch does.
    """
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def differentiable(
    name: str,
    setup_context: Callable[..., None],
    backward: Callable[..., Any],
    *,
    keeps: bool = False,
) -> Callable[..., Any]:
    """The operator ``vqe_fast::name`` with its derivative.

    Graphs of ``torch.compile`` and ``torch.export`` hold the operator itself, whose derivative is
    registered with the dispatcher. What runs as it is written does not go through Python twice:
    the autograd node is made here, and the dispatcher finds the kernel alone.

    Args:
        name: of a schema in ``csrc/library.cpp``.
        setup_context: (ctx, inputs, output) → nothing, what the backward needs.
        backward: (ctx, *grads) → a gradient for each argument.
        keeps: whether all results but the first are for the backward alone, which finds them as
            ``ctx.kept``; a node of one result is a cheaper one.

    Returns:
        A function of the schema's arguments, all of them by position; with ``keeps`` its result
        is the first of the schema's.
    """
    if _library.cpu_problem is not None:

        def missing(*arguments: object) -> None:
            raise RuntimeError(f"vqe_fast::{name} has no kernel: {_library.cpu_problem}")

        return missing
    overload = getattr(torch.ops.vqe_fast, name).default

    def forward(ctx, *arguments):  # type: ignore[no-untyped-def]
        with torch._C._AutoDispatchBelowAutograd():
            output = overload(*arguments)
        setup_context(ctx, arguments, output)
        if not keeps:
            return output
        value, *ctx.kept = output
        return value

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    node = type(name, (torch.autograd.Function,), members)
    # Function.apply asks again whether a transform of torch.func is at work.
    apply = super(torch.autograd.Function, node).apply  # type: ignore[misc]

    def is_recorded(arguments: tuple[Any, ...]) -> bool:
        return torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments)

    def run(*arguments: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return overload(*arguments)

    def autograd_kernel(*arguments: Any) -> Any:
        if forward_ad._current_level >= 0 and any(map(_has_tangent, arguments)):
            raise NotImplementedError(
                f"vqe_fast::{name} has no forward-mode derivative; the functions of vqe_fast.ops do"
            )
        if not is_recorded(arguments):
            return run(*arguments)
        output = apply(*arguments)
        return (output, *output.grad_fn.kept) if keeps else output

    _fragment.impl(name, autograd_kernel, "Autograd")

    def operator(*arguments: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
            output = overload(*arguments)
        elif is_recorded(arguments):
            return apply(*arguments)
        else:
            output = run(*arguments)
        return output[0] if keeps else output

    return operator


def reference_gradients(
    function: Callable[..., Tensor],
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    grad_output: Tensor,
) -> list[Tensor | None]:
    """Gradients of ``function(*tensors)`` that can themselves be differentiated, and batched.

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
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        given = [
            tensor if create_graph or not need else tensor.detach().requires_grad_()
            for tensor, need in zip(tensors, needed, strict=True)
        ]
        wanted = [tensor for tensor, need in zip(given, needed, strict=True) if need]
        gradients = iter(
            torch.autograd.grad(function(*given), wanted, grad_output, create_graph=create_graph)
        )
    return [next(gradients) if need else None for need in needed]


def wants_reference(grad_output: Tensor) -> bool:
    """Whether a backward is to come from the reference: it is differentiated or transformed."""
    if torch.is_grad_enabled() or is_transformed():
        return True
    # That of torch.autograd.grad(is_grads_batched=True) is no transform of torch.func.
    is_batched = torch._C._functorch.is_legacy_batchedtensor
    return not torch.compiler.is_compiling() and is_batched(grad_output)


def scaled(gradient: Tensor, scale: Tensor) -> Tensor:
    """``gradient``, which nobody else has, times ``scale``; in place unless it is traced."""
    if torch.compiler.is_compiling() or type(gradient) is not Tensor:
        return gradient * scale
    # A plain loss.backward() scales by 1; only a CPU tensor can be looked at for free.
    if scale.is_cpu and scale.dim() == 0 and scale.item() == 1:
        return gradient
    return gradient.mul_(scale)


def _has_tangent(argument: object) -> bool:
    return isinstance(argument, Tensor) and forward_ad.unpack_dual(argument).tangent is not None


_fragment = torch.library.Library("vqe_fast", "FRAGMENT")
