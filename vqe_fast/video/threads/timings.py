"""Timings of the stages: seconds at work and waiting."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

T = TypeVar("T")


class Clock:
    """Clock of the seconds during which at least one of several threads is within it.

    Attributes:
        seconds: until the last one left.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = Lock()
        self._within = 0
        self._start = 0.0

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._start = time.perf_counter()
            self._within += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self.seconds += time.perf_counter() - self._start


class Timings:
    """Seconds by name, each name of one thread."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Times what happens within it, under ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start

    def making(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yields ``items``, and times getting them, under ``name``."""
        iterator = iter(items)
        while True:
            with self.span(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def using(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yields ``items``, and times what the caller does with them, under ``name``."""
        for item in items:
            with self.span(name):
                yield item

    def report(self, beside: float = 0) -> dict[str, float]:
        """Seconds of ``decode``, ``model`` and ``encode``, and of the model ``waiting`` for them.

        Making enhanced frames (``enhance``) includes getting frames (``starve``), and then it may
        take until there is room for them (``block``). Meanwhile a model that has threads of its
        own goes on, and so does one on a GPU, which is at least as long at work as the encoder
        waits for frames from there (``arrive``).

        Args:
            beside: seconds during which such threads had frames.
        """
        seconds = self._seconds
        model = max(seconds["enhance"] - seconds["starve"], seconds["arrive"], beside)
        return {
            "decode": seconds["decode"],
            "model": model,
            "encode": seconds["encode"],
            "waiting": max(seconds["enhance"] + seconds["block"] - model, 0.0),
        }
