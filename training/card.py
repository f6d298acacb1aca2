"""Model card of trained weights: how they were made and what they gain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Card:
    """Card of weights: model, recipe, data, steps, seed, gains.

    Attributes:
        model: the registered model they belong to.
        options: what it is built with.
        file: name of the weights file.
        recipe: name of the recipe file.
        data: what they were trained on, in words.
        validated_on: what ``measured`` was measured on, in words.
        steps: optimiser steps.
        seed: of the run.
        measured: per encoder setting, what :func:`vqe_fast.training.gains.summarise` returns.
        features: what losses of features looked at, in words; empty if there were none.
    """

    model: str
    options: Mapping[str, Any]
    file: str
    recipe: str
    data: str
    validated_on: str
    steps: int
    seed: int
    measured: Mapping[str, Mapping[str, float]]
    features: str = ""

    def to_toml(self) -> str:
        """The card as a table of ``weights.toml``, named after the model."""
        lines = [f"[{self.model}]"]
        lines += [f'{name} = "{getattr(self, name)}"' for name in ("file", "recipe")]
        lines += [f'data = "{self.data}"', f'validated_on = "{self.validated_on}"']
        if self.features:
            lines.append(f'features = "{self.features}"')
        if self.options:
            lines.append(f"options = {toml_value(self.options)}")
        lines += [f"steps = {self.steps}", f"seed = {self.seed}", ""]
        return "\n".join(lines + measured_lines(self.model, self.measured)) + "\n"


def measured_lines(model: str, measured: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The lines of a card's table of gains."""
    lines = [f"[{model}.measured]"]
    for setting, gains in measured.items():
        pairs = ", ".join(f"{name} = {gain:.4f}" for name, gain in gains.items())
        lines.append(f'"{setting}" = {{ {pairs} }}')
    return lines


def toml_value(value: Any) -> str:
    """A number, truth value, text, list or mapping, as TOML has it on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, default=list)  # numbers, truth values, texts and lists are alike
