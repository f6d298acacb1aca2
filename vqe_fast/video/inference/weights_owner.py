"""The model that a file of weights belongs to, as the file says or as its tensors fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from vqe_fast.models import create_model, list_models
from vqe_fast.models.published import PUBLISHED, published_models
from vqe_fast.video.errors import VideoError
from vqe_fast.video.quality import DEFAULT_MODEL
from vqe_fast.weights import WeightsError, metadata_of, shapes_in


def owner_of(weights: Path) -> str:
    """The registered name of the model that ``weights`` belong to.

    A file of ``vqe-fast train`` says so. Of another the tensors decide, if they fit exactly one
    model built with its own choice of options; a checkpoint of authors fits by their names.

    Raises:
        VideoError: they fit none, or several.
        WeightsError: the file is missing or unreadable.
    """
    if weights.suffix in PUBLISHED:
        fitting = published_models(weights)
    else:
        said = metadata_of(weights).get("model")
        if said is not None:
            return _known(said, weights)
        fitting = _fitting(shapes_in(weights))
    if len(fitting) == 1:
        return fitting[0]
    found = f"fits {', '.join(fitting)}" if fitting else "fits none as it is built by default"
    raise VideoError(
        f"{weights} does not say whose weights it holds, and {found}; name the model, one of "
        f"{', '.join(fitting or list_models())}"
    )


def chosen_model(model: str | nn.Module | None, weights: Path | None) -> str | nn.Module:
    """The model that was asked for, that of the weights, or the default.

    Raises:
        VideoError: none was asked for, and the weights do not tell.
        WeightsError: likewise, and they are missing or unreadable.
    """
    if model is not None:
        return model
    return DEFAULT_MODEL if weights is None else owner_of(weights)


def _known(name: str, weights: Path) -> str:
    if name not in list_models():
        raise WeightsError(
            f"{weights} holds weights of {name}, which is no model here; there are: "
            f"{', '.join(list_models())}"
        )
    return name


def _fitting(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Models whose state, built without memory, has these names and shapes."""
    found = []
    for name in list_models():
        with torch.device("meta"):
            state = create_model(name).state_dict()
        if {key: tuple(value.shape) for key, value in state.items()} == shapes:
            found.append(name)
    return found
