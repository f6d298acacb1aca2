"""From a compressed video file to a better one: decode, enhance, encode, keep everything else."""

from vqe_fast.video.engine import enhance_video
from vqe_fast.video.errors import VideoError
from vqe_fast.video.qp import FrameQP, iterate_qp, read_qp
from vqe_fast.video.report import EnhanceReport

__all__ = ["EnhanceReport", "FrameQP", "VideoError", "enhance_video", "iterate_qp", "read_qp"]
