"""Quantisation parameters (QPs) of a compressed video's frames, read from the stream itself."""

from vqe_fast.video.qp.frame import FrameQP
from vqe_fast.video.qp.reader import iterate_qp, read_qp

__all__ = ["FrameQP", "iterate_qp", "read_qp"]
