"""Benchmark cases of one differentiable function of tensors."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vqe_fast.bench.case import Candidate, Sample, Subject, Work, in_float64, relative_error, run
from vqe_fast.bench.record import Role

Make = Callable[[], Callable[..., Any]]


@dataclass(frozen=True)
class Function(Subject):
    """A function of this package, its definition, and inputs for both.

    Attributes:
        ours: the function of this package.
        plain: what a user would write in plain PyTorch; in float64 it is the truth.
        sample: number → inputs.
        part: the inputs of a part of the result that float64 can afford.
        view: that part of the result and the gradients.
        checks_part: whether implementations are checked on the part alone, where the whole takes
            too long.
        plain_memory: bytes that plain PyTorch needs at least.
        work_flops: as in the row.
    """

    ours: Callable[..., Tensor]
    plain: Callable[..., Tensor]
    sample: Callable[[int], Sample]
    part: Callable[[Sample], Sample] = lambda sample: sample
    view: Callable[[list[Tensor]], list[Tensor]] = lambda results: results
    checks_part: bool = False
    plain_memory: int = 0
    work_flops: int | None = None

    def usual(self) -> list[Candidate]:
        """The usual candidates: this package, plain PyTorch, and ``torch.compile`` of it."""
        memory = self.plain_memory
        return [
            self.candidate("vqe_fast", lambda: self.ours, role="own"),
            self.candidate("eager", lambda: self.plain, least_memory=memory),
            self.candidate("torch.compile", lambda: compiled(self.plain), least_memory=memory),
        ]

    def candidate(
        self,
        name: str,
        make: Make,
        *,
        role: Role = "alternative",
        definition: Callable[..., Tensor] | None = None,
        context: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
        problem: str | None = None,
        least_memory: int = 0,
        tolerance: float | None = None,
    ) -> Candidate:
        """Another implementation with the same arguments.

        Args:
            name: of it.
            make: returns the function.
            role: as in the row.
            definition: what it computes, where that is not quite ``plain``.
            context: what calls happen in.
            problem: why it cannot be measured; nothing if it can.
            least_memory: bytes that it is known to need.
            tolerance: relative error that is allowed.
        """

        def made() -> Callable[[Sample], list[Tensor]]:
            function = make()

            def call(sample: Sample) -> list[Tensor]:
                with context():
                    return run(function, sample)

            return call

        def error(call: Callable[[Sample], list[Tensor]]) -> float:
            sample = self.sample(0)
            exact = self._exact(definition or self.plain)
            actual = call(self.part(sample)) if self.checks_part else self.view(call(sample))
            return relative_error(actual, exact)

        return Candidate(
            name, role, made, error, problem, least_memory=least_memory, tolerance=tolerance
        )

    def exact(self) -> list[Tensor]:
        """The part of the result that implementations are checked against, in float64."""
        return self._exact(self.plain)

    def work(self, candidates: Sequence[Candidate]) -> Work:
        """The benchmark case."""
        return Work(
            self.operator,
            self.case,
            self.shape,
            self.dtype,
            self.direction,
            self.device,
            self.sample,
            candidates,
            work_flops=self.work_flops,
            counts_bytes=True,
        )

    def _exact(self, definition: Callable[..., Tensor]) -> list[Tensor]:
        return _remembered(self, definition)


@functools.lru_cache(maxsize=2)
def _remembered(function: Function, definition: Callable[..., Tensor]) -> list[Tensor]:
    """Each definition is computed once for all who are checked against it."""
    return run(definition, in_float64(function.part(function.sample(0))))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``torch.compile`` for one shape, as it is fastest."""
    return torch.compile(function, dynamic=False)


def random_tensors(
    number: int,
    shapes: Sequence[Sequence[int]],
    dtype: torch.dtype,
    device: str,
    *,
    normal: bool = False,
) -> list[Tensor]:
    """Tensors of random values, uniform in [0, 1) or normal; a number gives the same ones again.

    On ``"meta"`` they have no values.
    """
    if device == "meta":
        return [torch.empty(*shape, dtype=dtype, device=device) for shape in shapes]
    generator = torch.Generator(device).manual_seed(number)
    draw = torch.randn if normal else torch.rand
    return [draw(*shape, generator=generator, device=device).to(dtype) for shape in shapes]
