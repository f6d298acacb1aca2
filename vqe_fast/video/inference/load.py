"""Loading: the model with its weights, and the device to run it on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vqe_fast._suggest import did_you_mean
from vqe_fast.models import create_model, list_models, load_published
from vqe_fast.models.published import PUBLISHED, create_published
from vqe_fast.models.registry import ModelSpec
from vqe_fast.video.errors import VideoError
from vqe_fast.video.look import FAITHFUL, Look
from vqe_fast.weights import (
    WeightsError,
    interpolate,
    load_shipped,
    load_weights,
    models_with_sharp_weights,
    options_in,
    sharp_card,
)


def find_model(
    model: str | nn.Module,
    weights: Path | None,
    options: Mapping[str, Any] | None = None,
    look: Look = FAITHFUL,
) -> nn.Module:
    """The model to run, with its weights.

    Args:
        model: a registered name, or a module with a ``spec``.
        weights: a ``.safetensors`` file for it, or a ``.pth`` file of authors that
            :func:`vqe_fast.models.load_published` reads; without one, a registered name gets the
            weights that ship with the package, and a module keeps its own.
        options: those to build a registered model with, beside those of its weights.
        look: between which of the weights that ship.

    Raises:
        VideoError: unknown name or option, no spec, or one of a model that enlarges frames or takes
            samples in another range; a look of weights that do not ship.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    if isinstance(model, str):
        if model not in list_models():
            raise VideoError(
                f"there is no model {model!r}; {did_you_mean(model, list_models())}"
                f"choose one of {', '.join(list_models())}"
            )
        if look != FAITHFUL:
            _refuse_look(model, weights)
        network = _built(model, weights, options or {})
        if look != FAITHFUL:
            sharp = copy.deepcopy(network)
            load_shipped(sharp, sharp_card(model))
            interpolate(network, sharp, look.strength)
    elif look != FAITHFUL:
        raise VideoError(
            "a look was given for a module, which brings its own weights; leave the look out, or "
            "name a registered model"
        )
    elif options:
        raise VideoError(
            "options were given for a module that is built already; leave them out, or name a "
            "registered model"
        )
    else:
        network = model
    _refuse_unsupported(network, model_name(model))
    is_complete = isinstance(model, str) and weights is not None and weights.suffix in PUBLISHED
    if weights is not None and not is_complete:
        _load(network, weights)
    return network


def _built(name: str, weights: Path | None, options: Mapping[str, Any]) -> nn.Module:
    """The registered model in the options of its weights and those given; authors' are loaded."""
    try:
        if weights is not None and weights.suffix in PUBLISHED:
            return create_published(name, weights, options)
        trained = {} if weights is None else options_in(weights)
        return create_model(name, pretrained=weights is None, **{**trained, **options})
    except WeightsError:
        raise
    except (TypeError, ValueError) as error:
        raise VideoError(f"the model cannot be built with these options: {error}") from error


def _refuse_look(name: str, weights: Path | None) -> None:
    if weights is not None:
        raise VideoError(
            "a look is one of the weights that ship; leave out the look, or the weights of your own"
        )
    if name not in (having := models_with_sharp_weights()):
        raise VideoError(
            f"no sharp weights ship for the model {name} (they do for: {', '.join(having)}); leave "
            "out the look, or name such a model in place of this one or of a quality"
        )


def _load(network: nn.Module, weights: Path) -> None:
    if weights.suffix not in PUBLISHED:
        load_weights(network, weights)
        return
    try:
        load_published(network, weights)
    except TypeError as error:
        raise WeightsError(f"{weights} cannot be loaded: {error}") from error


def model_name(model: str | nn.Module) -> str:
    """The name of ``model`` in messages and reports."""
    return model if isinstance(model, str) else type(model).__name__


def pick_device(name: str) -> torch.device:
    """The torch device of a name; for ``"auto"`` the first GPU if there is one, else the CPU.

    Raises:
        VideoError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise VideoError(f"the device {name!r} cannot be used here; choose cpu or auto") from error
    return device


def _refuse_unsupported(model: nn.Module, name: str) -> None:
    spec = getattr(model, "spec", None)
    if not isinstance(spec, ModelSpec):
        raise VideoError(f"the model {name} has no spec; give it a vqe_fast.models.ModelSpec")
    if spec.scale != 1:
        raise VideoError(
            f"the model {name} makes frames {spec.scale} times as large, which enhancement keeps "
            "at their size; choose one of scale 1"
        )
    if spec.value_range != (0.0, 1.0):
        raise VideoError(
            f"the model {name} takes values in {spec.value_range}; choose one for [0, 1]"
        )
