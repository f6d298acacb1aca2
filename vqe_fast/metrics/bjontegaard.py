"""Bjøntegaard deltas: how far apart two curves of rate and quality are on average."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

_FEWEST = 4
_LEAST_OVERLAP = 0.5
_P = ParamSpec("_P")


def _by_name(function: Callable[_P, float]) -> Callable[_P, float]:
    """Refuses curves by their places with the right call, which Python's own message has not."""

    @functools.wraps(function)
    def named(*args: _P.args, **kwargs: _P.kwargs) -> float:
        if args:
            name = function.__name__
            raise TypeError(
                f"{name} takes its curves by name, as tools differ in whose comes first: "
                f"{name}(rates=…, quality=…, anchor_rates=…, anchor_quality=…)"
            )
        return function(*args, **kwargs)

    return named


@_by_name
def bd_rate(
    *,
    rates: Sequence[float],
    quality: Sequence[float],
    anchor_rates: Sequence[float],
    anchor_quality: Sequence[float],
) -> float:
    """Mean difference in bit rate at the same quality.

    Log rate is interpolated over quality with Akima's splines, and integrated where the curves
    overlap. What is found there says little of the rest: a warning tells where they overlap over
    less than half of the qualities that the curve of the narrower range has. All arguments are
    given by name: other tools take the anchor's first, which turns the sign round.

    Args:
        rates: of one curve's points, in any unit.
        quality: of the same points, such as PSNR in dB.
        anchor_rates: of the curve that it is compared to.
        anchor_quality: of the same points.

    Returns:
        In percent of the anchor's rate; negative where the same quality takes less.

    Raises:
        TypeError: an argument is given by its place.
        ValueError: fewer than four points, a curve that does not rise, or no overlap.
    """
    difference = _mean_difference(
        _curve(quality, np.log10(rates)),
        _curve(anchor_quality, np.log10(anchor_rates)),
        "qualities",
    )
    return float(100 * (10**difference - 1))


@_by_name
def bd_psnr(
    *,
    rates: Sequence[float],
    quality: Sequence[float],
    anchor_rates: Sequence[float],
    anchor_quality: Sequence[float],
) -> float:
    """Mean difference in quality at the same bit rate.

    Quality is interpolated over log rate with Akima's splines, and integrated where the curves
    overlap. Arguments and errors are those of :func:`bd_rate`; its warning goes by the log rates.

    Returns:
        In the unit of the quality, dB for PSNR; positive where the same rate gives more.
    """
    return _mean_difference(
        _curve(np.log10(rates), quality),
        _curve(np.log10(anchor_rates), anchor_quality),
        "log rates",
    )


_Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def _curve(across: Sequence[float] | NDArray[Any], up: Sequence[float] | NDArray[Any]) -> _Curve:
    x, y = np.asarray(across, np.float64), np.asarray(up, np.float64)
    if x.shape != y.shape or len(x) < _FEWEST:
        raise ValueError(
            f"a curve takes at least {_FEWEST} points, as many rates as qualities, "
            f"got {len(x)} and {len(y)}"
        )
    order = np.argsort(x)
    x, y = x[order], y[order]
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("rates must be positive and qualities finite")
    if (np.diff(x) <= 0).any() or (np.diff(y) <= 0).any():
        raise ValueError("quality must rise with the rate from each point to the next")
    return x, y


def _mean_difference(curve: _Curve, anchor: _Curve, across: str) -> float:
    """Mean of one curve minus the other where both are defined; ``across`` names the places."""
    from scipy.interpolate import Akima1DInterpolator

    low = max(curve[0][0], anchor[0][0])
    high = min(curve[0][-1], anchor[0][-1])
    if low >= high:
        raise ValueError("the curves do not overlap")
    share = (high - low) / min(each[0][-1] - each[0][0] for each in (curve, anchor))
    if share < _LEAST_OVERLAP:
        warnings.warn(
            f"the curves overlap over {100 * share:.2g} % of the narrower one's {across} only: "
            "measure points at which they lie beside each other",
            stacklevel=4,
        )
    areas = [float(Akima1DInterpolator(*each).integrate(low, high)) for each in (curve, anchor)]
    return (areas[0] - areas[1]) / float(high - low)
