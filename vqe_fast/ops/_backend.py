"""Backends: the choice of an operator's implementation, kernel or reference."""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor

from vqe_fast.ops import _library
from vqe_fast.ops._autograd import is_transformed

Backend = Literal["auto", "reference"]

# Operators whose CUDA implementation is Triton rather than the CUDA library.
TRITON_OPERATORS = frozenset({"attention", "block_match", "charbonnier", "modulation"})
OPERATORS = ("attention", "block_match", "charbonnier", "fusion", "modulation", "ssim")


def _checked(name: str) -> Backend:
    for known in get_args(Backend):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}; got {name!r}")


_outside: Backend = _checked(os.environ.get("VQE_FAST_BACKEND", "auto"))
_forced = _outside
_open: dict[object, Backend] = {}  # of contexts, in the order in which they were opened
_change = threading.Lock()


@contextmanager
def backend(name: Backend) -> Iterator[None]:
    """Chooses the implementation of every operator for the whole process while it is open.

    ``"reference"`` forces plain PyTorch; ``"auto"``, the default, takes the kernel for the
    device and dtype where there is one. Of several open contexts the one that was opened last
    holds, in every thread, also in those that did not open it; they may be closed in any order and
    by any thread. Where none is open the environment variable ``VQE_FAST_BACKEND`` decides. A
    backward pass goes by what held in its forward pass.

    Raises:
        ValueError: another name.
    """
    global _forced
    checked = _checked(name)
    if torch.compiler.is_compiling():  # a graph is one thread's, and closes what it opens in turn
        before, _forced = _forced, checked
        try:
            yield
        finally:
            _forced = before
        return
    context = object()
    with _change:
        _open[context] = _forced = checked
    try:
        yield
    finally:
        with _change:
            del _open[context]
            _forced = next(reversed(_open.values()), _outside)


def kernel_problem(operator: str, device_type: str) -> str | None:
    """Why ``operator`` has no kernel on a kind of device; nothing if it has one."""
    if _forced == "reference":
        return "backend 'reference' is asked for"
    if device_type == "cpu":
        return _library.cpu_problem
    if device_type != "cuda":
        return f"there are no kernels for {device_type}"
    if operator in TRITON_OPERATORS:
        return _library.cpu_problem or _triton_problem()
    return _library.cuda_problem


def use_kernel(operator: str, *tensors: Tensor) -> bool:
    """Whether to run the kernel on these tensors, checked ones of one device and dtype."""
    if is_transformed():
        return False
    device_type = tensors[0].device.type
    problem = kernel_problem(operator, device_type)
    if problem is None:
        return True
    # Not torch.compiler.disable: that breaks graphs, and importing what it needs takes a second.
    is_silent = device_type == "meta" or torch.compiler.is_compiling()
    if _forced == "auto" and not is_silent:
        _say_once(operator, problem)
    return False


@functools.cache
def _triton_problem() -> str | None:
    if not torch.version.cuda:
        return "this torch has no CUDA"
    return None if importlib.util.find_spec("triton") else "triton is not installed"


@functools.cache
def _say_once(operator: str, problem: str) -> None:
    warnings.warn(
        f"vqe_fast: {operator} runs on the plain PyTorch reference, because {problem}",
        stacklevel=4,
    )
