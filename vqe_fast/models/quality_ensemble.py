"""Quality ensemble of Galteri et al.: a generator for each quality, chosen frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vqe_fast.models.registry import create_model, register_model, spec_of
from vqe_fast.reference.fusion import luma_of

_LARGEST_QP = 63


class QualityEnsemble(nn.Module):
    """Generators of one architecture; each frame goes to that of the quality nearest to its own.

    The quality is the QP. :func:`vqe_fast.enhance_video` tells that of the frame's stream, or,
    where this does not tell QPs, the estimate of the shipped quality predictor, by which the paper
    chooses. It is that of the whole frame, so all of its tiles go to one generator.

    Args:
        generators: the QP that each generator was trained for → the generator, which takes none.
        predictor: estimates QPs from luma, for calls without one.

    Attributes:
        qps: those of ``generators``, ascending.
        spec: that of the generators, with QP.

    Raises:
        ValueError: there are no generators, they differ in their specs or in names and shapes of
            their weights, or they take QPs themselves.
    """

    how_to_get_weights = "train a generator for each quality and join their files by vqe-fast join"

    def __init__(
        self, generators: Mapping[float, nn.Module], predictor: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.qps = sorted(generators)
        self.generators = nn.ModuleList(generators[qp] for qp in self.qps)
        self.predictor = predictor
        _refuse_different(self.generators)
        self._borders = [(lower + upper) / 2 for lower, upper in pairwise(self.qps)]
        self.spec = replace(spec_of(self.generators[0]), takes_qp=True)

    def forward(self, frames: Tensor, qp: float | Tensor | None = None) -> Tensor:
        """Enhances each frame by the generator for its quality.

        Args:
            frames: (B, …), as the generators take them.
            qp: QPs in 0 to 63: a number, (), (B), or a map (B, h, w), which counts by its mean; on
                the CPU or the device of ``frames``. None for the predictor's estimates.

        Returns:
            What the generators give.

        Raises:
            ValueError: there is neither a QP nor a predictor, or the QPs have another shape.
        """
        if qp is None:
            if self.predictor is None:
                raise ValueError("qp must be given: this ensemble has no predictor")
            qp = self.predictor(luma_of(frames))
        if not isinstance(qp, Tensor):
            chosen: Tensor = self.generators[sum(qp > border for border in self._borders)](frames)
            return chosen
        # Weights are selected, not branches taken: nobody waits for what a device computes, and
        # compiled graphs and CUDA graphs hold for every QP.
        indices = self.route(qp, len(frames)).to(frames.device, non_blocking=True)
        states = [_state_of(generator) for generator in self.generators]
        stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        return torch.cat(
            [
                functional_call(self.generators[0], _selected(stacked, index), (frame,))
                for frame, index in zip(frames.split(1), indices.split(1), strict=True)
            ]
        )

    def route(self, qp: Tensor, batch: int) -> Tensor:
        """The index in ``qps`` of the generator for each frame, (B); of two as near, the lower.

        Args:
            qp: (), (B) or (B, h, w).
            batch: B.

        Raises:
            ValueError: it has another shape.
        """
        if qp.dim() not in (0, 1, 3) or (qp.dim() and len(qp) != batch):
            raise ValueError(
                f"qp must be a number, ({batch}) or ({batch}, h, w); got {tuple(qp.shape)}"
            )
        known = qp.float().reshape(len(qp) if qp.dim() else 1, -1).mean(1).expand(batch)
        indices = torch.zeros_like(known, dtype=torch.long)
        for border in self._borders:
            indices = indices + (known > border)
        return indices


def _state_of(generator: nn.Module) -> dict[str, Tensor]:
    return dict(generator.named_parameters()) | dict(generator.named_buffers())


def _selected(stacked: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    """The state of the generator with this index, (1), which is not looked at."""
    return {name: values.index_select(0, index).squeeze(0) for name, values in stacked.items()}


def _refuse_different(generators: nn.ModuleList) -> None:
    if not len(generators):
        raise ValueError("there must be at least one generator")
    kinds = [
        (spec_of(each), {name: value.shape for name, value in _state_of(each).items()})
        for each in generators
    ]
    if any(kind != kinds[0] for kind in kinds):
        raise ValueError("generators must be of one architecture: build them with the same options")
    if kinds[0][0].takes_qp:
        raise ValueError("generators must not take QPs: each is for one")


@register_model
def galteri_ensemble(
    generator: str = "galteri_base",
    qps: Sequence[float] = (27, 32, 37, 42),
    generator_options: Mapping[str, Any] = MappingProxyType({}),
) -> QualityEnsemble:
    """The paper's ensemble; see :class:`QualityEnsemble`.

    Args:
        generator: the registered name of all generators.
        qps: the QP that each was trained for.
        generator_options: those that each is built with.

    Raises:
        ValueError: ``qps`` are not ascending in 0 to 63, or the generator cannot be built.
    """
    numbers = isinstance(qps, Sequence) and all(isinstance(qp, int | float) for qp in qps)
    if (
        not numbers
        or list(qps) != sorted(set(qps))
        or not all(0 <= qp <= _LARGEST_QP for qp in qps)
    ):
        raise ValueError(f"qps must be ascending numbers in 0 to {_LARGEST_QP}, got {qps}")
    return QualityEnsemble({qp: create_model(generator, **generator_options) for qp in qps})
