"""Rotation of inputs, more of them than the cache holds, so that no call finds its own there."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

T = TypeVar("T")

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_USUAL_CACHE = 32 << 20
_MOST = 256
"""Sets of inputs; smaller ones than the cache holds of these are small enough to stay in it."""


def rotation(make: Callable[[int], T], first: T, device: str) -> list[T]:
    """``first`` and as many more inputs as are twice as large as the cache, together.

    Args:
        make: number → the inputs of that number.
        first: those of number 0.
        device: whose cache.
    """
    size = max(bytes_in(first), 1)
    count = min(max(math.ceil(2 * cache_bytes(device) / size), 1), _MOST)
    return [first, *map(make, range(1, count))]


def in_turn(samples: list[T], run: Callable[[T], object]) -> Callable[[], object]:
    """A call that takes the next inputs each time."""
    turn: Iterator[T] = itertools.cycle(samples)
    return lambda: run(next(turn))


def bytes_in(values: object) -> int:
    """Bytes of all tensors in nested tuples and lists, each counted once."""
    tensors = {id(leaf): leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)}
    return sum(tensor.nbytes for tensor in tensors.values())


@functools.cache
def cache_bytes(device: str) -> int:
    """Size of the largest cache of the device."""
    if device == "cuda":
        size: int = torch.cuda.get_device_properties().L2_cache_size
        return size
    sizes = [_parsed(path.read_text("ascii")) for path in _CACHES.glob("index*/size")]
    return max(sizes, default=_USUAL_CACHE)


def _parsed(size: str) -> int:
    found = re.fullmatch(r"(\d+)([KMG]?)\s*", size)
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]] if found else 0
