"""Qualities ``fast``, ``balanced`` and ``best``, and the model that each stands for."""

from __future__ import annotations

from typing import Literal, get_args

Quality = Literal["fast", "balanced", "best"]
"""From what costs least to what gains most over luma and chroma. Of what costs between them nothing
gains enough more: ``fast`` and ``balanced`` stand for the same network."""

_MODELS: dict[Quality, str] = {
    "fast": "dualres_s",
    "balanced": "dualres_s",
    "best": "dualres_t",
}

QUALITIES: tuple[Quality, ...] = get_args(Quality)


def model_for(quality: Quality) -> str:
    """The registered model, with weights that ship, that a quality stands for."""
    return _MODELS[quality]


DEFAULT_MODEL = model_for("balanced")
"""The best one that enhances more than a few frames of 1280×720 a second on two cores."""
