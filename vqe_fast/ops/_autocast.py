"""Autocast on devices that may not know it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

# Asked for once: torch.compile before 2.12 cannot follow the question.
_WITH_AUTOCAST = frozenset(
    device_type
    for device_type in ("cpu", "cuda", "hpu", "mps", "mtia", "xpu")
    if torch.amp.is_autocast_available(device_type)
)


def autocast_enabled(device_type: str) -> bool:
    """Whether autocast is on for a kind of device."""
    return device_type in _WITH_AUTOCAST and torch.is_autocast_enabled(device_type)


def in_one_dtype(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The pair in the wider of its dtypes, float32 at least under autocast."""
    dtype = input.dtype
    if target.dtype != dtype:
        dtype = torch.promote_types(dtype, target.dtype)
    if autocast_enabled(input.device.type):
        dtype = torch.promote_types(dtype, torch.float32)
    if input.dtype != dtype:
        input = input.to(dtype)
    return input, target if target.dtype == dtype else target.to(dtype)


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """A context in which what runs on a kind of device keeps its dtype."""
    if device_type in _WITH_AUTOCAST:
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
