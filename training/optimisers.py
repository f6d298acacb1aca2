"""Optimisers by the names that recipes give them: Adam, AdamW and Muon."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Muon, Optimizer

from vqe_fast.training.recipe import OptimiserRecipe

_MOMENTUM = 0.95


def build_optimisers(module: nn.Module, recipe: OptimiserRecipe) -> list[Optimizer]:
    """The optimisers of ``module``: one, or two that share the parameters that want gradients.

    The first has the recipe's ``rate``.

    Raises:
        ValueError: nothing in the module has a name that ``beside`` gives.
    """
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if recipe.name == "muon":
        chosen = {
            name: parameter
            for name, parameter in parameters.items()
            if parameter.dim() == 4 and not _is_beside(name, recipe.beside)
        }
        _refuse_unknown(module, recipe.beside)
        rest = [parameter for name, parameter in parameters.items() if name not in chosen]
        muon = ConvolutionMuon(list(chosen.values()), recipe.rate, recipe.weight_decay)
        return [muon, _adam(Adam, rest, recipe, recipe.adam_rate or recipe.rate)]
    kind = AdamW if recipe.name == "adamw" else Adam
    return [_adam(kind, list(parameters.values()), recipe, recipe.rate)]


class ConvolutionMuon(Muon):
    """Muon for the weights of convolutions, (O, I, h, w), each taken as a matrix (O, h·w·I).

    ``torch.optim.Muon`` takes matrices alone. These share the memory of the weights, which may be
    contiguous or channels last; a step of Muon does not depend on the order of columns.

    Args:
        weights: of convolutions.
        rate: what a step may change of a matrix, as the largest singular value.
        weight_decay: as for AdamW.
    """

    def __init__(self, weights: list[nn.Parameter], rate: float, weight_decay: float) -> None:
        self._weights = weights
        self._matrices = [nn.Parameter(_as_matrix(weight.detach())) for weight in weights]
        super().__init__(self._matrices, lr=rate, momentum=_MOMENTUM, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Takes an optimiser step by the gradients of the weights; those without one stay."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else _rows(weight.grad, weight)
        super().step(closure)  # type: ignore[no-untyped-call]
        for matrix in self._matrices:
            matrix.grad = None


def _as_matrix(weight: Tensor) -> Tensor:
    """The memory of a weight as a matrix; not a copy."""
    matrix = _rows(weight, weight)
    assert matrix.data_ptr() == weight.data_ptr()
    return matrix


def _rows(values: Tensor, weight: Tensor) -> Tensor:
    """(O, I, h, w) as (O, h·w·I), in the order in which the memory of ``weight`` has them."""
    if not weight.is_contiguous():
        values = values.permute(0, 2, 3, 1)
    return values.flatten(1)


def _adam(
    kind: type[Adam] | type[AdamW],
    parameters: list[nn.Parameter],
    recipe: OptimiserRecipe,
    rate: float,
) -> Optimizer:
    return kind(
        parameters, lr=rate, betas=recipe.betas, eps=recipe.eps, weight_decay=recipe.weight_decay
    )


def _is_beside(name: str, beside: list[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in beside)


def _refuse_unknown(module: nn.Module, beside: list[str]) -> None:
    names = {name for name, _ in module.named_modules()}
    names |= {name for name, _ in module.named_parameters()}
    unknown = [name for name in beside if name not in names]
    if unknown:
        raise ValueError(f"the model has no {unknown[0]}, which the optimiser's beside names")
