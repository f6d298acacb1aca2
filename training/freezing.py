"""Freezing: parts of a model that are kept as they are while the rest is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Context manager: parameters of these submodules of ``model`` want no gradients.

    Raises:
        ValueError: there is no part of a name.
    """
    try:
        parts = [model.get_submodule(name) for name in names]
    except AttributeError as error:
        raise ValueError(f"freeze: {error}") from error
    wanted = [p for part in parts for p in part.parameters() if p.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
