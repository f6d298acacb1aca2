"""Networks that begin as a smaller one of the same design."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from vqe_fast.models import create_model, list_models
from vqe_fast.models.dualres import DualResolution
from vqe_fast.weights import load_weights, metadata_of, options_in

_ADDED_TO_FEATURES = ("second.weight", "second.bias", "up.weight", "up.bias", "output.weight")


def load_start(model: nn.Module, path: Path) -> None:
    """Loads weights to start training from: the model's own, or some of them, or a smaller one's.

    A :class:`vqe_fast.models.dualres.DualResolution` that is larger than that of the file computes
    the same as it at first; new blocks add nothing yet, and nothing looks at new channels yet.

    Args:
        model: to load into.
        path: of a ``.safetensors`` file.

    Raises:
        WeightsError: the file is missing, unreadable, or does not fit.
    """
    name = metadata_of(path).get("model")
    if isinstance(model, DualResolution) and name in list_models():
        smaller = create_model(name, **options_in(path))
        if isinstance(smaller, DualResolution) and _holds(model, smaller):
            load_weights(smaller, path)
            grow(model, smaller)
            return
    load_weights(model, path, partial=True)


@torch.no_grad()
def grow(model: DualResolution, smaller: DualResolution) -> None:
    """Makes a network compute what a smaller one does.

    Args:
        model: has at least as many channels and blocks, with the same QPs in its tables.
        smaller: the other.
    """
    old = smaller.state_dict()
    for name, weight in model.state_dict().items():
        if name.endswith(_ADDED_TO_FEATURES):
            weight.zero_()
        if name in old:
            known = old[name]
            if weight.dim() == 4:
                weight[: len(known), known.shape[1] :] = 0
            _corner(weight, known).copy_(known)


def _holds(model: nn.Module, smaller: nn.Module) -> bool:
    """Whether a network is the larger one: it has all that the other has, and something more."""
    new, old = model.state_dict(), smaller.state_dict()
    if not old.keys() <= new.keys():
        return False
    fits = all(_corner(new[name], known).shape == known.shape for name, known in old.items())
    return fits and sum(map(Tensor.numel, new.values())) > sum(map(Tensor.numel, old.values()))


def _corner(weight: Tensor, known: Tensor) -> Tensor:
    return weight[tuple(slice(length) for length in known.shape)]
