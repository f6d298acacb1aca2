"""Loading of published weights: BasicVSR's and SPyNet's, PeQuENet's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vqe_fast.models.basicvsr import BasicVSR
from vqe_fast.models.pequenet import HEADS, PeQuENet
from vqe_fast.models.pequenet import published_name as _pequenet_name
from vqe_fast.models.registry import create_model
from vqe_fast.models.spynet import SPyNet
from vqe_fast.weights import WeightsError, read_checkpoint

Publisher = Literal["basicsr", "mmagic"]

PUBLISHED = (".pt", ".pth")
"""Suffixes of checkpoints as authors publish them."""

_WRAPPERS = ("params_ema", "params", "state_dict")
_CONSTANTS = ("mean", "std")
_SHOWN = 3
_MODELS = ("basicvsr", "pequenet")


def published_names(model: BasicVSR | SPyNet, publisher: Publisher) -> dict[str, str]:
    """The names of a model's weights at a publisher → the names here.

    Args:
        model: a :class:`BasicVSR` or a :class:`SPyNet`.
        publisher: ``"basicsr"`` or ``"mmagic"``, without the latter's prefix ``generator.``.
    """
    return {_published(name, publisher): name for name in model.state_dict()}


def load_published(
    model: nn.Module, source: str | Path | Mapping[str, object], *, name: str | None = None
) -> None:
    """Loads published weights, in the dtype of the model's parameters.

    Taken are the names of BasicSR and of MMagic for BasicVSR and SPyNet, and those of its authors'
    code for PeQuENet, before and since its head was renamed in 2022; bare or inside ``params_ema``
    (preferred), ``params`` or ``state_dict``, with or without the prefixes ``module.`` and
    ``generator.``. SPyNet's ``mean`` and ``std`` are constants that its files leave out; they may
    be missing.

    Args:
        model: a :class:`BasicVSR`, a :class:`SPyNet`, ``model.spynet`` for one, or a
            :class:`PeQuENet` in configuration I; of :class:`ASTF` each network by itself. BasicSR
            builds 15 blocks of 64 feature maps unless told otherwise, MMagic 30; which
            options a file of BasicVSR needs, the error says.
        source: a ``.pth`` file, or what ``torch.load`` makes of it.
        name: of the source in error messages; the path, if it is one.

    Raises:
        TypeError: ``model`` is none of these.
        WeightsError: the file is missing or unreadable, or its entries are not the model's; the
            model is then as it was.
    """
    if not isinstance(model, BasicVSR | SPyNet | PeQuENet):
        raise TypeError(
            f"model must be a BasicVSR, a SPyNet or a PeQuENet, got {type(model).__name__}"
        )
    if isinstance(source, str | Path):
        name = name or str(source)
        content = read_checkpoint(source)
        source = content if isinstance(content, Mapping) else {}
    name = name or "the state dict"
    state = _bare(source)
    if not state:
        raise WeightsError(f"{name} holds no tensors by name; expected a state dict")
    if isinstance(model, PeQuENet):
        head = next(
            (head for head in HEADS if any(key.startswith(head) for key in state)), HEADS[0]
        )
        names = {_pequenet_name(key, head): key for key in model.state_dict()}
    else:
        names = published_names(model, _publisher_of(state))
    expected = model.state_dict()
    absent = {key for key in names.keys() - state.keys() if key.split(".")[-1] not in _CONSTANTS}
    shapes = {
        key for key in names.keys() & state.keys() if expected[names[key]].shape != state[key].shape
    }
    differences = [
        f"{verb} {_some(keys)}"
        for verb, keys in (
            ("lacks", absent),
            ("has unknown", state.keys() - names.keys()),
            ("has another shape for", shapes),
        )
        if keys
    ]
    if differences:
        advice = _advice(model, state) if isinstance(model, BasicVSR) else ""
        raise WeightsError(f"{name} does not fit this model: it {', '.join(differences)}{advice}")
    with torch.no_grad():
        for key, ours in names.items():
            if key in state:
                expected[ours].copy_(state[key])


def create_published(
    name: str, path: str | Path, given: Mapping[str, Any] = MappingProxyType({})
) -> nn.Module:
    """Builds the registered model ``name`` with published weights, in the options that they need.

    Raises:
        WeightsError: no weights of this model are published, the file is missing or unreadable,
            or it does not fit.
    """
    state = _state_in(path)
    options = _options_of(state) if name == "basicvsr" else {}
    model = create_model(name, **(options | dict(given)))
    try:
        load_published(model, state, name=str(path))
    except TypeError as error:
        raise WeightsError(
            f"{path} is a checkpoint of authors, which are read for {' and '.join(_MODELS)}, not "
            f"for {name}: name one of these, or give a .safetensors file"
        ) from error
    return model


def published_models(path: str | Path) -> list[str]:
    """Registered names of the models that a published checkpoint fits.

    Raises:
        WeightsError: the file is missing or unreadable.
    """
    found = []
    _state_in(path)
    for name in _MODELS:
        with suppress(WeightsError):  # it is another's
            create_published(name, path)
            found.append(name)
    return found


def _state_in(path: str | Path) -> dict[str, Tensor]:
    content = read_checkpoint(path)
    return _bare(content if isinstance(content, Mapping) else {})


def _bare(content: Mapping[str, object]) -> dict[str, Tensor]:
    """The tensors, without what is wrapped around them and around their names."""
    for wrapper in _WRAPPERS:
        inner = content.get(wrapper)
        if isinstance(inner, Mapping):
            content = inner
            break
    state = {
        key.removeprefix("module."): value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if any(key.startswith("generator.") for key in state):
        state.pop("step_counter", None)
        state = {key.removeprefix("generator."): value for key, value in state.items()}
    return state


def _publisher_of(state: Mapping[str, Tensor]) -> Publisher:
    is_mmagic = any("resblocks." in key or ".conv." in key for key in state)
    return "mmagic" if is_mmagic else "basicsr"


def _advice(model: BasicVSR, state: Mapping[str, Tensor]) -> str:
    """With which options a model would fit, as far as the shapes of a state dict tell."""
    found = _options_of(state)
    has = {"scale": model.scale, "width": model.width, "blocks": model.blocks}
    other = [f"{option}={value}" for option, value in found.items() if value != has[option]]
    return f"; build the model with {', '.join(other)}" if other else ""


def _options_of(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Options of a BasicVSR, as the shapes of its state dict tell; empty for another model's."""
    trunk = {key.partition(".main.")[2]: value for key, value in state.items()}
    if "0.weight" not in trunk:
        return {}
    return {
        "scale": 4 if any(key.startswith("up") for key in state) else 1,
        "width": len(trunk["0.weight"]),
        "blocks": sum(re.fullmatch(r"2\.\d+\.conv1\.weight", key) is not None for key in trunk),
    }


def _published(name: str, publisher: Publisher) -> str:
    flow = re.fullmatch(r"(.*)levels\.(\d)\.convs\.(\d)\.(\w+)", name)
    if flow:
        prefix, level, conv, kind = flow.groups()
        # BasicSR counts the activations between the convolutions, MMagic wraps both in one module.
        inner = str(2 * int(conv)) if publisher == "basicsr" else f"{conv}.conv"
        return f"{prefix}basic_module.{level}.basic_module.{inner}.{kind}"
    trunk = re.fullmatch(r"(\w+)_trunk\.(.*)", name)
    if trunk:
        direction, rest = trunk.groups()
        rest = rest.replace("head.", "0.").replace("blocks.", "2.")
        rest = rest.replace("first.", "conv1.").replace("second.", "conv2.")
        trunks = "trunk" if publisher == "basicsr" else "resblocks"
        return f"{direction}_{trunks}.main.{rest}"
    upsampling = re.fullmatch(r"upsample\.(\d)\.(\w+)", name)
    if upsampling:
        number, kind = int(upsampling[1]) + 1, upsampling[2]
        middle = f"upconv{number}" if publisher == "basicsr" else f"upsample{number}.upsample_conv"
        return f"{middle}.{kind}"
    return name


def _some(keys: set[str]) -> str:
    shown = ", ".join(sorted(keys)[:_SHOWN])
    return shown if len(keys) <= _SHOWN else f"{shown} and {len(keys) - _SHOWN} more"
