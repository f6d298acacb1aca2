"""NIQE and BRISQUE as measures of an evaluation: of a frame alone, on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from vqe_fast.metrics.brisque import SMALLEST, Brisque
from vqe_fast.metrics.frame_measure import Compare, FrameMeasure
from vqe_fast.metrics.niqe import BLOCK, Niqe


def niqe(device: torch.device) -> FrameMeasure:
    """NIQE, see :class:`vqe_fast.metrics.niqe.Niqe`.

    Raises:
        WeightsError: there is no model of undistorted pictures.
    """
    made = Niqe()
    about = {"model": made.model, "sha256": made.sha256}
    return FrameMeasure("niqe", _alone(made), about, (BLOCK, 2 * BLOCK))


def brisque(device: torch.device) -> FrameMeasure:
    """BRISQUE, see :class:`vqe_fast.metrics.brisque.Brisque`.

    Raises:
        WeightsError: the regression is not there.
    """
    about = {"model": "that of the package brisque"}
    return FrameMeasure("brisque", _alone(Brisque()), about, (SMALLEST, SMALLEST))


def _alone(measure: Callable[[NDArray[np.uint8]], float | None]) -> Compare:
    return lambda frame, original: measure(frame.transpose(1, 2, 0))
