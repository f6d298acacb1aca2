"""Compressed-video quality enhancement: operators, models, training and a tool for files."""

import importlib
from typing import TYPE_CHECKING

from vqe_fast._version import __version__

if TYPE_CHECKING:
    from vqe_fast import comparison, models, nn, ops, reference, video, weights
    from vqe_fast._info import info
    from vqe_fast.comparison import ComparisonReport, compare_videos
    from vqe_fast.evaluation import Evaluation, evaluate
    from vqe_fast.models import create_model, list_models
    from vqe_fast.ops._backend import backend
    from vqe_fast.video.enhance import EnhanceReport, enhance_video

__all__ = [
    "ComparisonReport",
    "EnhanceReport",
    "Evaluation",
    "__version__",
    "backend",
    "compare_videos",
    "comparison",
    "create_model",
    "enhance_video",
    "evaluate",
    "info",
    "list_models",
    "models",
    "nn",
    "ops",
    "reference",
    "video",
    "weights",
]

_HOMES = {
    "ComparisonReport": "vqe_fast.comparison",
    "EnhanceReport": "vqe_fast.video.enhance",
    "Evaluation": "vqe_fast.evaluation",
    "backend": "vqe_fast.ops._backend",
    "compare_videos": "vqe_fast.comparison",
    "create_model": "vqe_fast.models",
    "enhance_video": "vqe_fast.video.enhance",
    "evaluate": "vqe_fast.evaluation",
    "info": "vqe_fast._info",
    "list_models": "vqe_fast.models",
}


def __getattr__(name: str) -> object:
    """Imports what is asked for, so that the package itself costs nothing to import."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        return importlib.import_module(f"vqe_fast.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, those not imported yet included."""
    return sorted(__all__)
