"""Statistics of natural scenes, which NIQE and BRISQUE share.

Needs scipy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import gamma

Values = NDArray[np.float64]

_OFFSETS = np.arange(-3, 4)
_WINDOW = np.exp(-(_OFFSETS**2) / (2 * (7 / 6) ** 2))
_WINDOW /= _WINDOW.sum()
# Rec. 601 with the digits of MATLAB's rgb2gray, which the authors' programs call.
_GREY = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
_SHAPES = np.arange(200, 10001) / 1000
_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))


def grey(frame: NDArray[Any]) -> Values:
    """Grey of a frame, (H, W), float64.

    Args:
        frame: grey (H, W), which stays as it is, or RGB (H, W, 3); of integers the grey is rounded.

    Raises:
        ValueError: another shape.
    """
    if frame.ndim == 2:
        return frame.astype(np.float64)
    if frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(f"frame must be (H, W) or (H, W, 3), got {frame.shape}")
    mixed: Values = frame @ _GREY
    return np.floor(mixed + 0.5) if frame.dtype.kind in "ui" else mixed


def contrast_normalised(image: Values, border: str) -> Values:
    """Mean-subtracted contrast-normalised coefficients, (x − μ) / (σ + 1).

    μ and σ are mean and standard deviation under a Gaussian window of 7×7 pixels, σ 7/6.

    Args:
        image: (H, W), 0 to 255.
        border: what lies outside, as scipy.ndimage calls it.
    """
    mean = _blurred(image, border)
    deviation = np.sqrt(np.abs(_blurred(image * image, border) - mean * mean))
    return np.asarray((image - mean) / (deviation + 1))


def _blurred(image: Values, border: str) -> Values:
    rows = correlate1d(image, _WINDOW, 0, mode=border)
    return np.asarray(correlate1d(rows, _WINDOW, 1, mode=border))


class AsymmetricGaussian(NamedTuple):
    """Parameters of asymmetric generalised Gaussians, each (N,); NaN where a side is empty.

    Attributes:
        shape: α, 0.2 to 10 in steps of 0.001: 2 for a Gaussian, 1 for a Laplacian.
        left: root mean square of what is below zero.
        right: the same above.
    """

    shape: Values
    left: Values
    right: Values

    @property
    def scale(self) -> Values:
        """√(Γ(1/α) / Γ(3/α)), which makes β of a root mean square."""
        return np.asarray(np.sqrt(gamma(1 / self.shape) / gamma(3 / self.shape)))

    @property
    def mean(self) -> Values:
        """Mean η of the distributions."""
        ratio = gamma(2 / self.shape) / gamma(1 / self.shape)
        return np.asarray((self.right - self.left) * self.scale * ratio)


def fit(values: Values) -> AsymmetricGaussian:
    """Asymmetric generalised Gaussians by matching moments (Lasmar et al., 2009).

    Args:
        values: (N, K), K samples of each.
    """
    squares = values * values
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = (
            np.sqrt((squares * side).sum(1) / side.sum(1)) for side in (values < 0, values > 0)
        )
        skew = left / right
        ratio = np.abs(values).mean(1) ** 2 / squares.mean(1)
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    after = np.searchsorted(_RATIOS, ratio).clip(1, len(_RATIOS) - 1)
    nearer = after - (ratio - _RATIOS[after - 1] < _RATIOS[after] - ratio)
    return AsymmetricGaussian(np.where(np.isnan(ratio), np.nan, _SHAPES[nearer]), left, right)
