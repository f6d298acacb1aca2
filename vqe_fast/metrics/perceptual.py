"""Perceptual metrics, by networks and statistics of natural images, from the package pyiqa."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

WITH_REFERENCE = ("lpips", "dists")
"""Measures of a frame against the original."""

WITHOUT_REFERENCE = ("niqe", "brisque")
"""Measures of a frame alone."""

OF_CLIPS = ("fid",)
"""Measures of all frames of a clip together against those of the original."""

NAMES = (*WITH_REFERENCE, *WITHOUT_REFERENCE, *OF_CLIPS)
"""All of them; of each, less is better."""


class Perceptual:
    """Some of pyiqa's metrics, with its default weights.

    Args:
        names: of :data:`NAMES`.
        device: where to compute them.

    Attributes:
        version: of pyiqa; empty if no measure is asked for.

    Raises:
        ValueError: an unknown name, or pyiqa or its weights are not there.
    """

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        unknown = [name for name in names if name not in NAMES]
        if unknown:
            raise ValueError(
                f"there is no measure {', '.join(unknown)}: choose among {', '.join(NAMES)}"
            )
        self.names = tuple(dict.fromkeys(names))
        self.version = ""
        self._device = device
        self._metrics: dict[str, Callable[..., Any]] = {}
        if names:
            pyiqa = _pyiqa(self.names[0])
            self.version = str(getattr(pyiqa, "__version__", "unknown"))
            self._metrics = {name: _created(pyiqa, name, device) for name in self.names}

    @property
    def of_clips(self) -> bool:
        """Whether one of them needs :meth:`of_folders`."""
        return any(name in OF_CLIPS for name in self.names)

    @torch.inference_mode()
    def of_frame(self, image: NDArray[np.uint8], original: NDArray[np.uint8]) -> dict[str, float]:
        """The measures of a frame.

        Args:
            image: RGB, (3, H, W).
            original: the same.
        """
        shown, expected = (self._values(pixels) for pixels in (image, original))
        return {
            name: float(metric(shown, expected) if name in WITH_REFERENCE else metric(shown))
            for name, metric in self._metrics.items()
            if name not in OF_CLIPS
        }

    def of_folders(self, images: Path, originals: Path) -> dict[str, float]:
        """The measures of clips.

        Args:
            images: folder with a PNG for each frame.
            originals: the same.
        """
        return {
            name: float(metric(str(images), str(originals)))
            for name, metric in self._metrics.items()
            if name in OF_CLIPS
        }

    def _values(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        return torch.tensor(pixels, device=self._device)[None].float() / 255


def _pyiqa(name: str) -> Any:
    try:
        return importlib.import_module("pyiqa")
    except ImportError as error:
        missing = "" if error.name == "pyiqa" else f" (which lacks {error.name})"
        raise ValueError(
            f"{name} needs the package pyiqa{missing}: pip install {error.name or 'pyiqa'}"
        ) from error


def _created(pyiqa: Any, name: str, device: torch.device) -> Callable[..., Any]:
    try:
        created: Callable[..., Any] = pyiqa.create_metric(name, device=device)
    except Exception as error:  # whatever a download or a file of weights may raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"pyiqa cannot load {name}, its weights are probably missing ({reason}): "
            f"run pyiqa.create_metric({name!r}) once where there is a network"
        ) from error
    return created
