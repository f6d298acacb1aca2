"""Trained weights: the small ones that ship with the package, and files of the user's own."""

from __future__ import annotations

import json
import os
import pickle
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import nn

_SHARP = "_sharp"
"""What the name of a model's card ends with where it is of sharp weights."""


class WeightsError(ValueError):
    """Weights that are missing, unreadable, or made for another model."""


def shipped() -> dict[str, dict[str, Any]]:
    """Cards of the weights that ship with the package: model name → table of ``weights.toml``."""
    text = resources.files(__package__).joinpath("weights.toml").read_text("utf-8")
    return tomllib.loads(text)


def shipped_options(name: str) -> dict[str, Any]:
    """Options that the registered model ``name`` must be built with for its shipped weights."""
    options: dict[str, Any] = shipped().get(name, {}).get("options", {})
    return options


def shipped_strengths(name: str) -> dict[str, list[list[float]]]:
    """Strengths of the correction of ``name`` by codec and QP; empty for all of it.

    See :data:`vqe_fast.video.inference.strength.Table`;
    :class:`vqe_fast.video.inference.strength.Strengths` reads it.
    """
    table: dict[str, list[list[float]]] = shipped().get(name, {}).get("strength", {})
    return table


def sharp_card(name: str) -> str:
    """The name of the card of the sharp weights of the registered model ``name``."""
    return f"{name}{_SHARP}"


def model_of_card(card: str) -> str:
    """The name of the model whose weights, sharp or not, a card is of."""
    return card.removesuffix(_SHARP)


def models_with_sharp_weights() -> list[str]:
    """Registered models for which sharp weights ship beside the faithful ones."""
    return [model_of_card(card) for card in shipped() if card != model_of_card(card)]


def interpolate(model: nn.Module, other: nn.Module, strength: float) -> None:
    """Network interpolation: moves the weights of ``model`` towards those of ``other``.

    Args:
        model: to change.
        other: of the same structure, trained from the weights of ``model`` on: between such two,
            networks work at every point.
        strength: how far, 0 to 1; both ends are exact.
    """
    wanted = other.state_dict()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            value.lerp_(wanted[key], strength)


def load_shipped(model: nn.Module, name: str) -> None:
    """Loads the weights that ship for the registered model ``name`` into ``model``.

    Raises:
        WeightsError: none ship for this model, or the options it was built with do not fit them.
    """
    cards = shipped()
    if name not in cards:
        having = ", ".join(card for card in cards if card == model_of_card(card)) or "none"
        advice = getattr(model, "how_to_get_weights", "train some with vqe-fast train")
        raise WeightsError(
            f"no weights ship for the model {name!r} (they do for: {having}); {advice}, and give "
            "the .safetensors file (--weights)"
        )
    with resources.as_file(resources.files(__package__).joinpath(cards[name]["file"])) as path:
        load_weights(model, path)


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A ``.safetensors`` file, opened for reading."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    _refuse_missing(path)
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable .safetensors file: {error}") from error


def _refuse_missing(path: Path) -> None:
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_file = False
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read: {error.strerror}") from error
    if not is_file:
        raise WeightsError(f"there is no weights file {path}")


def read_checkpoint(path: str | Path) -> object:
    """Loads a file of ``torch.save``, tensors and plain containers only.

    Raises:
        WeightsError: the file is missing or unreadable.
    """
    path = Path(path)
    _refuse_missing(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        first_line = str(error).partition("\n")[0]
        raise WeightsError(f"{path} is not a readable PyTorch file: {first_line}") from error


def metadata_of(path: str | Path) -> dict[str, str]:
    """Metadata of a ``.safetensors`` file: ``model``, ``options`` and ``qp``.

    Raises:
        WeightsError: the file is missing or is not safetensors.
    """
    with _opened(path) as file:
        about: dict[str, str] = file.metadata() or {}
    return about


def shapes_in(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Names of the tensors in a ``.safetensors`` file → their shapes.

    Raises:
        WeightsError: the file is missing or is not safetensors.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def options_in(path: str | Path) -> dict[str, Any]:
    """Options of the model that a ``.safetensors`` file was trained with, as far as it says.

    Raises:
        WeightsError: the file is missing or is not safetensors.
    """
    try:
        options: dict[str, Any] = json.loads(metadata_of(path).get("options", "{}"))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path} is not a readable .safetensors file: {error}") from error
    return options


def load_weights(model: nn.Module, path: str | Path, *, partial: bool = False) -> None:
    """Loads a ``.safetensors`` state dict into ``model``, in the dtype of its parameters.

    Args:
        model: to load into.
        path: of the file.
        partial: whether the file may lack entries, which then stay as they are: a plain network's
            weights are a place to start from for one that also adapts to the QP.

    Raises:
        WeightsError: the file is missing, is not safetensors, or belongs to another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    _refuse_missing(path)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable .safetensors file: {error}") from error
    expected = model.state_dict()
    missing = sorted(expected.keys() - state.keys())
    foreign = sorted(state.keys() - expected.keys())
    shapes = [k for k in expected.keys() & state.keys() if expected[k].shape != state[k].shape]
    if (missing and not partial) or foreign or shapes:
        problem = (
            f"lacks {missing[0]}"
            if missing and not partial
            else f"has an unknown entry {foreign[0]}"
            if foreign
            else f"has another shape for {min(shapes)}"
        )
        raise WeightsError(
            f"{path} does not fit this model: it {problem}; "
            "build the model with the options that the weights were trained with"
        )
    with torch.no_grad():
        for key, value in state.items():
            expected[key].copy_(value)
