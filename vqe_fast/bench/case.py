"""Benchmark cases: inputs and candidate implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from vqe_fast.bench.record import Direction, Role, Row

TOLERANCES: Mapping[torch.dtype, float] = {
    torch.float64: 1e-10,
    torch.float32: 1e-4,
    torch.bfloat16: 2e-2,
    torch.float16: 2e-2,
}
"""Relative error, in the Frobenius norm, beyond which a result is wrong and gets no time."""


class NotDone(Exception):
    """Raised by an implementation that does not support a case; the message says why."""


class Sample(NamedTuple):
    """Inputs of one call.

    Attributes:
        arguments: of the function.
        leaves: those of them that gradients are asked for; none for the forward direction.
        upstream: gradient of the result; None where the result is one number.
    """

    arguments: tuple[Any, ...]
    leaves: tuple[Tensor, ...] = ()
    upstream: Tensor | None = None


def run(function: Callable[..., Any], sample: Sample) -> list[Tensor]:
    """The function's result, and the gradients that the sample asks for."""
    result = function(*sample.arguments)
    if not sample.leaves:
        return [result]
    return [result, *torch.autograd.grad(result, sample.leaves, sample.upstream)]


@dataclass(frozen=True)
class Candidate:
    """An implementation to be timed.

    Attributes:
        name: of it.
        role: as in :class:`~vqe_fast.bench.record.Row`.
        make: imports, builds or compiles it; returns what takes a sample and returns its result.
            What this or the first call raises is why it is not measured.
        error: relative error of what ``make`` returned, on inputs of its choice.
        problem: why it cannot be measured here; nothing if it can.
        prepare: turns a sample into what it takes, which is not timed.
        least_memory: bytes that one call is known to need.
        dtype: where it is not that of the work.
        tolerance: where it is not that of the dtype.
        warp_error: of what ``make`` returned, as in the row; nothing if it finds no motion.
    """

    name: str
    role: Role
    make: Callable[[], Callable[[Any], Any]]
    error: Callable[[Callable[[Any], Any]], float]
    problem: str | None = None
    prepare: Callable[[Any], Any] = lambda sample: sample
    least_memory: int = 0
    dtype: torch.dtype | None = None
    tolerance: float | None = None
    warp_error: Callable[[Callable[[Any], Any]], float] | None = None


@dataclass(frozen=True)
class Subject:
    """The subject of a measurement, as :class:`~vqe_fast.bench.record.Row` has it.

    Attributes:
        operator: its name.
        case: what exactly.
        shape: of the first input.
        dtype: of the inputs.
        direction: ``forward`` or ``both``.
        device: ``cpu`` or ``cuda``.
    """

    operator: str
    case: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    direction: Direction
    device: str


@dataclass(frozen=True)
class Work(Subject):
    """A benchmark case: one task, for several candidates.

    Attributes:
        sample: number → inputs; the same number gives the same values.
        candidates: who does it.
        work_flops: as in the row.
        work_bytes: as in the row.
        frames: as in the row.
        counts_bytes: whether ``work_bytes`` is to be counted: the inputs, and what a candidate of
            this package returns, once each.
    """

    sample: Callable[[int], Any]
    candidates: Sequence[Candidate]
    work_flops: int | None = None
    work_bytes: int | None = None
    frames: int | None = None
    counts_bytes: bool = False

    def row(self, candidate: Candidate) -> Row:
        """The candidate's row, before it is measured."""
        dtype = candidate.dtype or self.dtype
        return Row(
            operator=self.operator,
            case=self.case,
            shape=self.shape,
            dtype=str(dtype).removeprefix("torch."),
            direction=self.direction,
            device=self.device,
            implementation=candidate.name,
            role=candidate.role,
            work_bytes=self.work_bytes,
            work_flops=self.work_flops,
            frames=self.frames,
        )


def relative_error(actual: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """Relative error: the largest ‖actual − exact‖ / ‖exact‖ of pairs; infinite for NaN."""
    worst = 0.0
    for a, e in zip(actual, exact, strict=True):
        if a.shape != e.shape:
            return float("inf")
        size = cast(float, e.double().norm().item())
        off = (a.to(e.device).double() - e.double()).norm().item() / max(size, 1e-300)
        worst = max(worst, off if off == off else float("inf"))
    return worst


def in_float64(sample: Sample) -> Sample:
    """Copies in float64, exact, with leaves of their own."""
    known: dict[int, Tensor] = {}

    def exact(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        if id(value) not in known:
            known[id(value)] = value.detach().double().requires_grad_(value.requires_grad)
        return known[id(value)]

    arguments = tuple(exact(value) for value in sample.arguments)
    leaves = tuple(exact(leaf) for leaf in sample.leaves)
    upstream = None if sample.upstream is None else sample.upstream.double()
    return Sample(arguments, leaves, upstream)
