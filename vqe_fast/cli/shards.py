"""Shards of a batch: ``--shard I/N``, for queues that start the same command N times."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Self

from vqe_fast.cli.batch_inputs import Batch, Task
from vqe_fast.video import VideoError


@dataclass(frozen=True)
class Shard:
    """One of several runs that part the files of a batch among them.

    Attributes:
        number: which, from 1 on.
        count: how many there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The shard from ``I/N``.

        Raises:
            VideoError: it is something else, or I is not in 1 to N.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
        if found is None:
            raise VideoError(f"a shard is I/N, such as 1/8 for the first of eight; got {text!r}")
        number, count = int(found[1]), int(found[2])
        if not 1 <= number <= count:
            raise VideoError(
                f"shards are counted from 1 to their number, got {text}; where a queue counts its "
                "tasks from 0, add 1"
            )
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def part_of(self, batch: Batch) -> Batch:
        """Its part of a batch, which all shards have to see alike.

        That is the I-th of every N files in the order of their names. Outputs whose names differ in
        the suffix alone count as one file, as another container may give them the same name. What
        was passed over is told by the first shard, a directory that cannot be read by each.
        """
        ordered = sorted(batch.tasks, key=lambda task: (_stem(task), task.source))
        groups = [list(group) for _, group in groupby(ordered, _stem)]
        mine = groups[self.number - 1 :: self.count]
        return replace(
            batch,
            tasks=[task for group in mine for task in group],
            passed_over=batch.passed_over if self.number == 1 else [],
        )


def _stem(task: Task) -> str:
    return str(task.target.with_suffix(""))
