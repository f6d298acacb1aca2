"""A part of a model, its optimiser, and its average over time."""

from __future__ import annotations

from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from vqe_fast.training.fabric import average_gradients
from vqe_fast.training.recipe import OptimiserRecipe, ScheduleRecipe

_OPTIMISERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Learner:
    """Takes the steps of gradient descent for the parameters of a module.

    Args:
        module: what is trained; parameters that want no gradient are left alone.
        recipe: the optimiser and its settings.
        fabric: whose processes share the gradients.
    """

    def __init__(self, module: nn.Module, recipe: OptimiserRecipe, fabric: Fabric) -> None:
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._recipe = recipe
        self._fabric = fabric
        self.optimiser = _OPTIMISERS[recipe.name](
            self._parameters,
            lr=recipe.rate,
            betas=recipe.betas,
            eps=recipe.eps,
            weight_decay=recipe.weight_decay,
        )

    def schedule(self, schedule: ScheduleRecipe, step: int, steps: int) -> float:
        """Sets the rate for a step; returns it."""
        rate = self._recipe.rate * schedule.factor_at(step, steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def forget(self) -> None:
        """Drops the gradients."""
        self.optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Follows the gradients that have been added up since the last :meth:`forget`."""
        average_gradients(self._fabric, self._parameters)
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._recipe.clip_norm)
        self.optimiser.step()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        state: dict[str, Any] = self.optimiser.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """The opposite of :meth:`state`."""
        self.optimiser.load_state_dict(state)


class Average:
    """The exponential moving average of a model's weights; the model itself without a decay."""

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
        """After a step of the model."""
        if self._averaged is not None:
            self._averaged.update_parameters(self._model)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return self._averaged.state_dict() if self._averaged else {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """The opposite of :meth:`state`."""
        if self._averaged is not None:
            self._averaged.load_state_dict(state)
