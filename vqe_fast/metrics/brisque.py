"""BRISQUE: how distorted a frame looks, by a regression on its statistics.

Needs scipy, and the authors' regression model from the package brisque.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from vqe_fast.metrics.natural_scenes import Values, contrast_normalised, fit, grey
from vqe_fast.weights.packages import PackagedFile

SMALLEST = 16
"""Shorter side in pixels of the smallest frame."""

_MODEL = PackagedFile(
    "brisque",
    "brisque",
    "brisque",
    "models/svm.txt",
    "19526fb799c4c7992ccc109fcfecddb25976ba024b194cd3ee275d27e8909c8d",
)
_RANGES = _MODEL._replace(
    file="models/normalize.pickle",
    sha256="a91753fe7088efe0b40e4d091315201fdb067966fc6785cf465e1eab060acda9",
)
_FEATURES = 36
_BORDER = "constant"
# Bicubic (a = −¾) halfway between two pixels, without antialiasing, as OpenCV halves.
_HALVING = np.array([-3, 19, 19, -3]) / 32


class Brisque:
    """Blind/referenceless image spatial quality evaluator (Mittal et al., 2012); less is better.

    36 features of the frame and of half its size, and support vector regression on how people
    rated the LIVE database, by the model and the features of the authors' C++ program: zeros
    outside the frame, products of neighbours that both lie in the frame, bicubic halving without
    antialiasing. Their MATLAB program (pyiqa, piq) has another model for features that differ a
    little, and values a few points apart.
    """

    def __init__(self) -> None:
        self._regression = _read_regression(_MODEL.path())
        # Checked by its hash above all, so that unpickling runs nothing but what is known.
        ranges = pickle.loads(_RANGES.path().read_bytes())
        self._least, self._most = (np.array(ranges[key]) for key in ("min_", "max_"))

    def __call__(self, frame: NDArray[Any]) -> float | None:
        """BRISQUE of a frame, about 0 to 100; None for one without texture.

        Args:
            frame: grey (H, W) or RGB (H, W, 3), 0 to 255, 16×16 or more.

        Raises:
            ValueError: another shape, or a smaller frame.
        """
        image = grey(frame)
        if min(image.shape) < SMALLEST:
            raise ValueError(
                f"BRISQUE needs frames of {SMALLEST}x{SMALLEST} or more, got "
                f"{image.shape[1]}x{image.shape[0]}"
            )
        features = np.concatenate([_features(image), _features(_halved(image))])
        if np.isnan(features).any():
            return None
        scaled = 2 * (features - self._least) / (self._most - self._least) - 1
        return self._regression(scaled)


class _Regression(NamedTuple):
    """Support vector regression with radial basis functions: Σ cᵢ·exp(−γ‖sᵢ − x‖²) − ρ."""

    coefficients: Values
    vectors: Values
    gamma: float
    rho: float

    def __call__(self, features: Values) -> float:
        distances = ((self.vectors - features) ** 2).sum(1)
        return float(self.coefficients @ np.exp(-self.gamma * distances) - self.rho)


def _read_regression(file: Path) -> _Regression:
    """A model as libsvm writes it: a head of names and values, and a line for each vector."""
    head, _, lines = file.read_text("ascii").partition("\nSV\n")
    settings = dict(line.split(" ", 1) for line in head.splitlines())
    rows = [line.split() for line in lines.splitlines()]
    vectors = np.zeros((len(rows), _FEATURES))
    for vector, (_, *entries) in zip(vectors, rows, strict=True):
        for entry in entries:
            index, value = entry.split(":")
            vector[int(index) - 1] = float(value)
    coefficients = np.array([float(row[0]) for row in rows])
    return _Regression(coefficients, vectors, float(settings["gamma"]), float(settings["rho"]))


def _halved(image: Values) -> Values:
    height, width = (size - size % 2 for size in image.shape)
    for axis in (0, 1):
        image = correlate1d(image, _HALVING, axis, mode="nearest", origin=-1)
    return image[:height:2, :width:2]


def _features(image: Values) -> Values:
    """18 features of an image."""
    values = contrast_normalised(image, _BORDER)
    shape, left, right = fit(values.reshape(1, -1))
    found = [shape, (left**2 + right**2) / 2]
    for pairs in (
        values[:, :-1] * values[:, 1:],
        values[:-1] * values[1:],
        values[:-1, :-1] * values[1:, 1:],
        values[1:, :-1] * values[:-1, 1:],
    ):
        product = fit(pairs.reshape(1, -1))
        found += [product.shape, product.mean, product.left**2, product.right**2]
    return np.concatenate(found)
