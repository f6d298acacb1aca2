"""Checks of arguments that the operators share; each says what came and what was expected."""

from __future__ import annotations

import torch
from torch import Tensor

REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
"""Name of a reduction → its number in the operator schemas."""


def check_reduction(reduction: str, known: tuple[str, ...] = tuple(REDUCTIONS)) -> None:
    """Raises ValueError for a reduction that is not in ``known``."""
    if reduction not in known:
        raise ValueError(f"reduction must be one of {', '.join(known)}; got {reduction!r}")


DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""What operators compute with; torch has other floating-point dtypes, which it cannot add."""


def check_tensor(name: str, value: object) -> None:
    """Raises TypeError for anything but a dense tensor of one of :data:`DTYPES`."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if value.dtype not in DTYPES:
        way = (
            "take its .real, .imag or .abs()" if value.is_complex() else "convert it with .float()"
        )
        raise TypeError(
            f"{name} must be a tensor of float64, float32, bfloat16 or float16, "
            f"got {value.dtype}: {way}"
        )
    if value.layout is not torch.strided or value.is_nested:
        kind = "a nested one" if value.is_nested else value.layout
        raise TypeError(f"{name} must be a dense tensor, got {kind}")


def check_pair(input: object, target: object) -> None:
    """Raises unless ``input`` and ``target`` are tensors of one shape on one device.

    Shapes are not broadcast: for a loss that is nearly always a mistake.
    """
    check_tensor("input", input)
    check_tensor("target", target)
    assert isinstance(input, Tensor) and isinstance(target, Tensor)
    if input.shape != target.shape:
        raise ValueError(
            f"target must have the shape of input, {tuple(input.shape)}; got {tuple(target.shape)}"
        )
    if input.device != target.device:
        raise ValueError(f"target must be on {input.device} like input; got {target.device}")


def check_constant(name: str, value: object) -> None:
    """Raises TypeError for a tensor that asks for a gradient, which a number does not get."""
    if isinstance(value, Tensor) and value.requires_grad:
        raise TypeError(
            f"{name} gets no gradient: pass a number, {name}.item(), or compute with the tensor "
            "before or after the operator"
        )


def check_positive(name: str, value: float) -> None:
    """Raises ValueError unless ``value`` is a finite number above zero; see check_constant."""
    check_constant(name, value)
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0, got {value}")


def check_finite(name: str, value: float) -> None:
    """Raises ValueError unless ``value`` is a finite number; see check_constant."""
    check_constant(name, value)
    if not -float("inf") < value < float("inf"):  # torch.compile cannot trace math.isfinite
        raise ValueError(f"{name} must be a finite number, got {value}")
