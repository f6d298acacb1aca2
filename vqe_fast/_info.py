"""Environment report: versions, what was built, which backend each operator has."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform

import torch

from vqe_fast._version import __version__
from vqe_fast.ops import _library
from vqe_fast.ops._backend import OPERATORS, TRITON_OPERATORS, kernel_problem

_PACKAGES = ("torch", "triton", "numpy", "av")


def info() -> dict[str, object]:
    """Versions, what was built, what this machine offers, and which backend each operator uses.

    Returns:
        A nested dictionary of strings, numbers and lists, ready for JSON.
    """
    return {
        "vqe_fast": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpu": _cpu(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "built": _built(),
        "operators": {
            name: {device: _backend_of(name, device) for device in ("cpu", "cuda")}
            for name in OPERATORS
        },
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> dict[str, object]:
    cpu: dict[str, object] = {"machine": platform.machine(), "threads": torch.get_num_threads()}
    if _library.cpu_problem is None:
        host = importlib.import_module("vqe_fast._host")
        cpu |= {"isa": host.isa(), "best_isa": host.best_isa()}
    return cpu


def _built() -> dict[str, object]:
    built: dict[str, object] = {
        "cpu_library": _library.cpu_problem or "loaded",
        "cuda_library": _library.cuda_problem or "loaded",
    }
    if _library.cpu_problem is None:
        built |= importlib.import_module("vqe_fast._host").build_facts()
    if _library.cuda_problem is None and torch.cuda.is_available():
        built["cuda_arch_in_use"] = _cuda_arch()
    return built


def _cuda_arch() -> int | str:
    """Which of the built architectures runs on the GPU here, or that none does."""
    try:
        return int(torch.ops.vqe_fast.cuda_arch(torch.empty((), device="cuda")).item())
    except RuntimeError as error:
        return f"none: {str(error).partition(chr(10))[0]}"


def _backend_of(operator: str, device: str) -> str:
    problem = kernel_problem(operator, device)
    if problem is not None:
        return f"reference ({problem})"
    if device == "cpu":
        return "c++"
    return "triton" if operator in TRITON_OPERATORS else "cuda"
