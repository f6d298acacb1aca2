"""Search for the box of a picture in which the most happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def busiest_box(weights: npt.NDArray[Any], width: int, height: int) -> tuple[int, int]:
    """The place of the box with the greatest sum.

    Args:
        weights: (H, W), such as squared errors.
        width: of the box, at most W.
        height: of the box, at most H.

    Returns:
        Its left column and its top row.
    """
    sums = np.pad(weights.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = sums[height:, width:] - sums[:-height, width:]
    boxes -= sums[height:, :-width] - sums[:-height, :-width]
    top, left = np.unravel_index(boxes.argmax(), boxes.shape)
    return int(left), int(top)
