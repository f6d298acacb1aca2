"""Resolution of restorers from their names on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from vqe_fast._precision import Precision
from vqe_fast._suggest import did_you_mean
from vqe_fast.evaluation.command_restorer import command_of, spp
from vqe_fast.evaluation.model_restorer import Network, Told
from vqe_fast.evaluation.restorer import Compressed, Restorer, Tuned
from vqe_fast.evaluation.row import COMPRESSED
from vqe_fast.models import list_models
from vqe_fast.models.published import PUBLISHED, create_published
from vqe_fast.training.checkpoint import WEIGHTS_NAME
from vqe_fast.video.inference.weights_owner import owner_of
from vqe_fast.video.look import FAITHFUL, Look

Wanted = str | nn.Module | Restorer | Tuned

_COMMAND = "cmd:"


def find_restorers(
    models: Sequence[str] | Mapping[str, Wanted],
    *,
    device: str,
    precision: Precision,
    model_options: Mapping[str, Any] | None = None,
    processes: int = 1,
) -> dict[str, Restorer | Tuned]:
    """The restorers of an evaluation: the compressed clip first, then those asked for.

    Args:
        models: what to compare, as :func:`vqe_fast.evaluate` takes it.
        device: where models run.
        precision: of their weights.
        model_options: those to build each registered model with, beside those of its weights.
        processes: how many run models on the same device.

    Returns:
        Name for tables → restorer.

    Raises:
        ValueError: one is not known, two have the same name, or weights do not fit.
        VideoError: a model that cannot enhance video.
    """

    def network(
        model: str | nn.Module,
        weights: Path | None = None,
        qp: Told | None = None,
        look: str = str(FAITHFUL),
    ) -> Network:
        options = model_options if isinstance(model, str) else None
        return Network(
            model,
            weights,
            look=look,
            device=device,
            precision=precision,
            qp=qp,
            options=options,
            processes=processes,
        )

    named = models if isinstance(models, Mapping) else _named(models)
    found: dict[str, Restorer | Tuned] = {COMPRESSED: Compressed()}
    for name, wanted in named.items():
        if isinstance(wanted, str):
            found[name] = _found(wanted, network)
        else:
            found[name] = network(wanted) if isinstance(wanted, nn.Module) else wanted
    if not isinstance(found[COMPRESSED], Compressed):
        raise ValueError(f"{COMPRESSED} is the compressed clip: give the model another name")
    return found


def _named(models: Sequence[str]) -> dict[str, str]:
    """Models by what people call them, commands by their program."""
    named: dict[str, str] = {}
    for text in models:
        words = text.removeprefix(_COMMAND).split()
        name = Path(words[0]).name if text.startswith(_COMMAND) and words else text
        if name in named:
            raise ValueError(
                f"two models are called {name}: give each once, from Python by names of your own"
            )
        named[name] = text
    return named


def _found(text: str, network: Callable[..., Network]) -> Restorer | Tuned:
    if text == COMPRESSED:
        return Compressed()
    if text == "spp":
        return spp()
    if text.startswith(_COMMAND):
        return command_of(text.removeprefix(_COMMAND).strip())
    path = Path(text)
    if text not in list_models() and path.exists():
        file = path / WEIGHTS_NAME if path.is_dir() else path
        return _with(network, owner_of(file), file)
    model, colon, of_model = text.partition(":")
    if model not in list_models():
        raise ValueError(
            f"there is no model {text!r}: {did_you_mean(model, list_models())}"
            "give none, spp, cmd:…, a file of weights, a folder of "
            f"vqe-fast train, or one of {', '.join(list_models())}"
        )
    if not colon:
        return network(model)
    if Look.is_meant(of_model):
        return network(model, look=of_model)
    return _with(network, model, Path(of_model))


def _with(network: Callable[..., Network], model: str, weights: Path) -> Network:
    if weights.suffix in PUBLISHED:  # PeQuENet's are told that QP: the others take none
        return network(create_published(model, weights), None, "base")
    return network(model, weights)
