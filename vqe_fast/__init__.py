"""Compressed-video quality enhancement: operators, models, training and a tool for files."""

from typing import TYPE_CHECKING

from vqe_fast._info import info
from vqe_fast._version import __version__
from vqe_fast.models import create_model, list_models
from vqe_fast.ops._backend import backend

if TYPE_CHECKING:
    from vqe_fast.video.engine import EnhanceReport, enhance_video

__all__ = [
    "EnhanceReport",
    "__version__",
    "backend",
    "create_model",
    "enhance_video",
    "info",
    "list_models",
]


def __getattr__(name: str) -> object:
    """Imports the video engine, and with it PyAV, only when it is asked for."""
    if name in {"EnhanceReport", "enhance_video"}:
        from vqe_fast.video import engine

        return getattr(engine, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
