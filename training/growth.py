"""Growth: initialising a network from the weights of a smaller one of the same design."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from vqe_fast.models import create_model, list_models
from vqe_fast.models.dualres import DualResolution
from vqe_fast.models.dualres_neighbours import NeighbourFusion
from vqe_fast.weights import load_weights, metadata_of, options_in

_ADDED_TO_FEATURES = ("second.weight", "second.bias", "up.weight", "up.bias", "output.weight")


def load_start(model: nn.Module, path: Path) -> None:
    """Loads initial weights: the model's own, or some of them, or a smaller one's.

    A :class:`vqe_fast.models.dualres.DualResolution` that is larger than that of the file computes
    the same as it at first; new blocks add nothing yet, and nothing looks at new channels yet. Of a
    :class:`vqe_fast.models.dualres_neighbours.NeighbourFusion` it may be the trunk.

    Args:
        model: to load into.
        path: of a ``.safetensors`` file.

    Raises:
        WeightsError: the file is missing, unreadable, or does not fit.
    """
    smaller = _network_of(path)
    if isinstance(model, NeighbourFusion) and smaller is not None:
        model = model.trunk
    if isinstance(model, DualResolution) and smaller is not None and _holds(model, smaller):
        load_weights(smaller, path)
        grow(model, smaller)
    else:
        load_weights(model, path, partial=True)


@torch.no_grad()
def grow(model: DualResolution, smaller: DualResolution) -> None:
    """Initialises a network so that it computes what a smaller one does.

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


def _network_of(path: Path) -> DualResolution | None:
    """The network that a file of weights says it is for, if it is one of these."""
    name = metadata_of(path).get("model")
    if name not in list_models():
        return None
    options = options_in(path)
    try:
        model = create_model(name, **options)
    except (TypeError, ValueError):  # options that this model does not have, or does not take
        return None
    return model if isinstance(model, DualResolution) else None


def _holds(model: DualResolution, smaller: DualResolution) -> bool:
    """Whether a network is the larger one: it has all that the other has, and something more."""
    new, old = model.state_dict(), smaller.state_dict()
    if model.qps != smaller.qps or not old.keys() <= new.keys():
        return False
    fits = all(_corner(new[name], known).shape == known.shape for name, known in old.items())
    return fits and sum(map(Tensor.numel, new.values())) > sum(map(Tensor.numel, old.values()))


def _corner(weight: Tensor, known: Tensor) -> Tensor:
    return weight[tuple(slice(length) for length in known.shape)]
