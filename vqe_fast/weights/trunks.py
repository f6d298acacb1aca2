"""Weights of the classifiers whose features models and losses build on, in torchvision's format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor

from vqe_fast.weights import WeightsError, read_checkpoint


class _Published(NamedTuple):
    file: str
    variable: str


_FOLDER = "https://download.pytorch.org/models"
_PUBLISHED = {
    "vgg16": _Published("vgg16-397923af.pth", "VQE_FAST_VGG16"),
    "vgg19": _Published("vgg19-dcbb9e9d.pth", "VQE_FAST_VGG19"),
    "alexnet": _Published("alexnet-owt-7be5be79.pth", "VQE_FAST_ALEXNET"),
}


def trunk_features(name: str, path: str | Path | None = None) -> dict[str, Tensor]:
    """The state dict of a classifier's convolutional part: the keys that begin with ``features.``.

    The file is the one at ``path``, else the one that the environment variable names
    (``VQE_FAST_VGG16``, ``VQE_FAST_VGG19``, ``VQE_FAST_ALEXNET``), else the official one in
    PyTorch's cache, where it is put with its hash checked if it can be downloaded.

    Args:
        name: ``"vgg16"``, ``"vgg19"`` or ``"alexnet"``.
        path: a file that ``torch.save`` wrote, such as torchvision's.

    Raises:
        ValueError: another name.
        WeightsError: there is no file and no network, or the file is not one of weights.
    """
    if name not in _PUBLISHED:
        raise ValueError(f"name must be one of {', '.join(_PUBLISHED)}; got {name!r}")
    file, variable = _PUBLISHED[name]
    chosen = path or os.environ.get(variable)
    state = read_checkpoint(chosen) if chosen else _official(name, file, variable)
    if not isinstance(state, dict):
        raise WeightsError(f"{chosen} holds no weights by name; expected a state dict")
    features = {key: value for key, value in state.items() if key.startswith("features.")}
    if not features:
        raise WeightsError(f"{chosen or file} holds no weights named features.…, as {name}'s are")
    return features


def _official(name: str, file: str, variable: str) -> dict[str, Tensor]:
    url = f"{_FOLDER}/{file}"
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", check_hash=True, weights_only=True, progress=False
        )
    except (URLError, OSError, RuntimeError) as error:
        place = Path(torch.hub.get_dir()) / "checkpoints" / file
        raise WeightsError(
            f"the weights of {name} are not here and cannot be downloaded ({error}): get {url} "
            f"elsewhere and put it at {place}, or name its place in {variable}"
        ) from error
    return state
