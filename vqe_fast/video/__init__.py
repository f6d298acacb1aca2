"""From a compressed video file to a better one: decode, enhance, encode, keep everything else."""

import importlib
from typing import TYPE_CHECKING

from vqe_fast.video.errors import VideoError
from vqe_fast.video.qp import FrameQP, iterate_qp, read_qp

if TYPE_CHECKING:
    from vqe_fast.video.enhance import EnhanceReport, enhance_video

__all__ = ["EnhanceReport", "FrameQP", "VideoError", "enhance_video", "iterate_qp", "read_qp"]


def __getattr__(name: str) -> object:
    """Imports the engine, and with it torch, when it is asked for: QPs are read without."""
    if name in __all__:
        return getattr(importlib.import_module("vqe_fast.video.enhance"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
