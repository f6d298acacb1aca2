"""DISTS and FID by the package pyiqa, where its user has installed it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from vqe_fast.metrics.frame_measure import FrameMeasure, of_images
from vqe_fast.metrics.measure import ClipFacts, Found, Shown
from vqe_fast.metrics.pictures import Pictures


def dists(device: torch.device) -> FrameMeasure:
    """DISTS, with pyiqa's weights.

    Raises:
        ValueError: pyiqa or its weights are not there.
    """
    metric, about = _created("dists", device)
    return FrameMeasure("dists", of_images(metric, device), about)


class FID:
    """FID between the frames of a clip and their originals, with pyiqa's weights.

    Args:
        device: where it runs.

    Raises:
        ValueError: pyiqa or its weights are not there.
    """

    names = ("fid",)

    def __init__(self, device: torch.device) -> None:
        self._metric, self._about = _created("fid", device)

    def identity(self) -> Mapping[str, Any]:
        """Version of pyiqa, and the device."""
        return {"fid": dict(self._about)}

    @contextmanager
    def of_clip(self, facts: ClipFacts) -> Iterator[_FIDMeter]:
        """A measurement, which keeps the frames as PNGs meanwhile."""
        with Pictures(facts.folder) as pictures:
            yield _FIDMeter(self._metric, pictures)


class _FIDMeter:
    def __init__(self, metric: Callable[..., Any], pictures: Pictures) -> None:
        self._metric, self._pictures = metric, pictures

    def add(self, frame: Shown, original: Shown) -> None:
        self._pictures.add(frame.rgb, original.rgb)

    def found(self) -> Found:
        folders = self._pictures.restored, self._pictures.originals
        return Found(clip={"fid": float(self._metric(*map(str, folders)))})


def _created(name: str, device: torch.device) -> tuple[Callable[..., Any], Mapping[str, Any]]:
    """One of pyiqa's metrics, and what identifies it."""
    pyiqa = _pyiqa(name)
    try:
        metric: Callable[..., Any] = pyiqa.create_metric(name, device=device)
    except Exception as error:  # whatever a download or a file of weights may raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"pyiqa cannot load {name}, its weights are probably missing ({reason}): "
            f"run pyiqa.create_metric({name!r}) once where there is a network"
        ) from error
    version = str(getattr(pyiqa, "__version__", "unknown"))
    return metric, {"pyiqa": version, "device": device.type}


def _pyiqa(name: str) -> Any:
    try:
        return importlib.import_module("pyiqa")
    except ImportError as error:
        missing = "" if error.name == "pyiqa" else f" (which lacks {error.name})"
        raise ValueError(
            f"{name} needs the package pyiqa{missing}: pip install {error.name or 'pyiqa'}, with "
            "torch held as docs/evaluation.md says"
        ) from error
