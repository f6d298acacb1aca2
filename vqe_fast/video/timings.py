"""How long the stages of an enhancement work and wait."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Timings:
    """Adds up seconds by name. A name belongs to one thread."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """What happens within it counts for ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def making(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yields ``items``; what it takes to get them counts for ``name``."""
        iterator = iter(items)
        while True:
            with self.span(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def using(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yields ``items``; what the caller does with them counts for ``name``."""
        for item in items:
            with self.span(name):
                yield item

    def report(self) -> dict[str, float]:
        """Seconds of ``decode``, ``model`` and ``encode``, and of the model ``waiting`` for them.

        Making enhanced frames (``enhance``) includes getting frames (``starve``), and then it may
        take until there is room for them (``block``).
        """
        seconds = self._seconds
        return {
            "decode": seconds["decode"],
            "model": seconds["enhance"] - seconds["starve"],
            "encode": seconds["encode"],
            "waiting": seconds["starve"] + seconds["block"],
        }
