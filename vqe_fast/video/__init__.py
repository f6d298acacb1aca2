"""Enhancement of video files: decode, enhance, encode; all other streams are remuxed."""

import importlib
from typing import TYPE_CHECKING

from vqe_fast.video.errors import SourceError, VideoError, WorkerError

if TYPE_CHECKING:
    from vqe_fast.video.enhance import EnhanceReport, enhance_video
    from vqe_fast.video.enhance_many import enhance_videos
    from vqe_fast.video.estimate import Estimate, estimate_video
    from vqe_fast.video.qp import FrameQP, iterate_qp, read_qp

__all__ = [
    "EnhanceReport",
    "Estimate",
    "FrameQP",
    "SourceError",
    "VideoError",
    "WorkerError",
    "enhance_video",
    "enhance_videos",
    "estimate_video",
    "iterate_qp",
    "read_qp",
]

_HOMES = {
    "EnhanceReport": "vqe_fast.video.enhance",
    "Estimate": "vqe_fast.video.estimate",
    "FrameQP": "vqe_fast.video.qp",
    "enhance_video": "vqe_fast.video.enhance",
    "enhance_videos": "vqe_fast.video.enhance_many",
    "estimate_video": "vqe_fast.video.estimate",
    "iterate_qp": "vqe_fast.video.qp",
    "read_qp": "vqe_fast.video.qp",
}


def __getattr__(name: str) -> object:
    """Imports what is asked for when it is: options need neither torch nor FFmpeg, QPs no torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
