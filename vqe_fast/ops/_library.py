"""Loads the operator libraries and knows why one is not there."""

from __future__ import annotations

from pathlib import Path

import torch

_FOLDER = Path(__file__).resolve().parent.parent


def _load(name: str) -> str | None:
    """Loads ``vqe_fast/<name>.so``; returns why that did not work, or nothing."""
    path = _FOLDER / f"{name}.so"
    if not path.exists():
        return f"{name} was not built"
    try:
        torch.ops.load_library(path)
    except OSError as error:
        return f"{name} does not load: {error}"
    return None


cpu_problem: str | None = _load("_ops_cpu")
"""Why the CPU library, which also holds every schema, is not there; nothing if it is."""

cuda_problem: str | None = (
    cpu_problem or (None if torch.version.cuda else "this torch has no CUDA") or _load("_ops_cuda")
)
"""Why the CUDA library is not there; nothing if it is."""
