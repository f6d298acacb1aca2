"""Learner: trained parameters, their optimiser, and the exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from vqe_fast.training.fabric import average_gradients
from vqe_fast.training.optimisers import build_optimisers
from vqe_fast.training.recipe import OptimiserRecipe, ScheduleRecipe


class Learner:
    """Optimiser steps for the parameters of a module.

    Args:
        module: what is trained; parameters that want no gradient are left alone.
        recipe: the optimiser and its settings.
        fabric: whose processes share the gradients.
    """

    def __init__(self, module: nn.Module, recipe: OptimiserRecipe, fabric: Fabric) -> None:
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._recipe = recipe
        self._fabric = fabric
        self._optimisers = build_optimisers(module, recipe)
        self._rates = [optimiser.param_groups[0]["lr"] for optimiser in self._optimisers]

    def schedule(self, schedule: ScheduleRecipe, step: int, steps: int) -> float:
        """Sets the learning rates for a step; returns the recipe's ``rate`` as it is then."""
        factor = schedule.factor_at(step, steps)
        for optimiser, rate in zip(self._optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        return self._recipe.rate * factor

    def forget(self) -> None:
        """Drops the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self) -> None:
        """Takes an optimiser step by the gradients added up since the last :meth:`forget`."""
        average_gradients(self._fabric, self._parameters)
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._recipe.clip_norm)
        for optimiser in self._optimisers:
            optimiser.step()

    def state(self) -> list[dict[str, Any]]:
        """The optimisers' state, for a checkpoint."""
        return [optimiser.state_dict() for optimiser in self._optimisers]

    def restore(self, states: Sequence[dict[str, Any]]) -> None:
        """Loads what :meth:`state` gave."""
        for optimiser, state in zip(self._optimisers, states, strict=True):
            optimiser.load_state_dict(state)


class Average:
    """Exponential moving average of a model's weights; the model itself without a decay."""

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self._model = model
        self._averaged = None
        if decay is not None:
            rule = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
            self._averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=rule)

    @property
    def model(self) -> nn.Module:
        """The averaged model."""
        averaged: nn.Module = self._averaged.module if self._averaged else self._model
        return averaged

    def update(self) -> None:
        """Updates the average after a step of the model."""
        if self._averaged is not None:
            self._averaged.update_parameters(self._model)

    def state(self) -> dict[str, Tensor]:
        """The average's state, for a checkpoint."""
        return self._averaged.state_dict() if self._averaged else {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Loads what :meth:`state` gave."""
        if self._averaged is not None:
            self._averaged.load_state_dict(state)
