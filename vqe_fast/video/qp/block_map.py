"""Maps of block QPs: blocks of any size painted on a regular grid."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Grid: TypeAlias = npt.NDArray[np.int16]


def paint_qp(blocks: npt.NDArray[np.int32], base: int, height: int, width: int, cell: int) -> _Grid:
    """Paints blocks one after the other on a grid that starts out as ``base``.

    A cell takes the value of the last block that holds its centre; what lies outside the grid is
    left out.

    Args:
        blocks: x, y, width and height in pixels and the difference to ``base``, (N, 5) int32.
        base: value where there is no block.
        height: rows of the grid.
        width: columns of the grid.
        cell: width and height of a cell in pixels.

    Returns:
        ``base`` plus differences, limited to 16 bits, (height, width) int16.
    """
    return _paint(blocks, base, height, width, cell)


def paint_in_python(
    blocks: npt.NDArray[np.int32], base: int, height: int, width: int, cell: int
) -> _Grid:
    """:func:`paint_qp` where the compiled one is missing."""
    limits = np.iinfo(np.int16)
    grid = np.full((height, width), np.clip(base, limits.min, limits.max), np.int16)
    x, y, across, down, delta = blocks.astype(np.int64).T
    values = (base + delta).clip(limits.min, limits.max)
    # The first cell whose centre is at or beyond an edge.
    left, right = (_first_cell(edge, cell, width) for edge in (x, x + across))
    top, bottom = (_first_cell(edge, cell, height) for edge in (y, y + down))
    for index, value in enumerate(values):
        grid[top[index] : bottom[index], left[index] : right[index]] = value
    return grid


def _first_cell(edge: npt.NDArray[np.int64], cell: int, count: int) -> npt.NDArray[np.int64]:
    return (-((cell // 2 - edge) // cell)).clip(0, count)


def _compiled_or_python() -> Callable[[npt.NDArray[np.int32], int, int, int, int], _Grid]:
    try:
        host = importlib.import_module("vqe_fast._host")
    except ImportError:
        return paint_in_python
    paint: Callable[[npt.NDArray[np.int32], int, int, int, int], _Grid] = host.paint_qp
    return paint


_paint = _compiled_or_python()
