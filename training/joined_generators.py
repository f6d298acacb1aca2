"""Weights of a quality ensemble, joined from those of generators that were trained one by one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vqe_fast.models import create_model
from vqe_fast.models.quality_ensemble import QualityEnsemble, galteri_ensemble
from vqe_fast.training.checkpoint import save_weights
from vqe_fast.weights import WeightsError, load_weights, metadata_of, options_in


def join_generators(files: Mapping[float, str | Path], output: str | Path) -> QualityEnsemble:
    """Writes the weights of the model ``galteri_ensemble`` from those of its generators.

    Args:
        files: the QP that each generator was trained for, 0 to 63 → its ``weights.safetensors`` of
            ``vqe-fast train``. All are of one model with the same options.
        output: the ``.safetensors`` file to write, in float16 as training does.

    Returns:
        The ensemble, as ``vqe-fast enhance --weights OUTPUT`` builds it.

    Raises:
        ValueError: the models differ, or the QPs are none.
        WeightsError: a file is missing, unreadable, or does not say whose weights it holds.
    """
    paths = {qp: Path(files[qp]) for qp in sorted(files)}
    kinds = {qp: (_model_in(path), options_in(path)) for qp, path in paths.items()}
    if not kinds:
        raise ValueError("there are no files: give those of the generators by their QPs")
    (first, kind), *others = kinds.items()
    for qp, other in others:
        if other != kind:
            raise ValueError(
                f"{paths[qp]} holds {_in_words(other)}, {paths[first]} {_in_words(kind)}: "
                "give generators of one model with the same options"
            )
    options: dict[str, Any] = {
        "generator": kind[0],
        "qps": list(paths),
        "generator_options": kind[1],
    }
    ensemble = create_model(galteri_ensemble.__name__, **options)
    assert isinstance(ensemble, QualityEnsemble)
    for generator, path in zip(ensemble.generators, paths.values(), strict=True):
        load_weights(generator, path)
    save_weights(ensemble, Path(output), galteri_ensemble.__name__, options)
    return ensemble


def _model_in(path: Path) -> str:
    name = metadata_of(path).get("model")
    if name is None:
        raise WeightsError(
            f"{path} does not say whose weights it holds; give the weights.safetensors of "
            "vqe-fast train"
        )
    return name


def _in_words(kind: tuple[str, Mapping[str, object]]) -> str:
    name, options = kind
    told = ", ".join(f"{option}={value}" for option, value in options.items())
    return f"{name} with {told}" if told else name
