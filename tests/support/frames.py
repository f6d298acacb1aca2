"""Frames in memory, and what an enhancer makes of them."""

from fractions import Fraction

import av
import numpy as np
import torch

from support.media import texture
from vqe_fast.video.frames.model_input import view_for
from vqe_fast.video.frames.planes import depth_of, plane_view
from vqe_fast.video.options import ModelOptions
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.bundle import FrameBundle
from vqe_fast.video.pipeline.enhancer import Enhancer, ResultWriter

CPU = torch.device("cpu")


def textured(pts, size=(64, 48), pixel_format="yuv420p"):
    """A frame at 25 a second."""
    frame = av.VideoFrame(*size, pixel_format)
    frame.pts, frame.time_base = pts, Fraction(1, 25)
    texture(frame)
    return frame


def two_scenes(cut):
    """Draws frames: dark ones before the number ``cut``, at 25 a second, and bright ones."""

    def draw(frame):
        texture(frame)
        for index in range(len(frame.planes)):
            plane = plane_view(frame, index)
            is_dark = frame.pts * frame.time_base * 25 < cut
            plane[:] = plane // 3 if is_dark else peak_of(frame) - plane[::-1] // 3

    return draw


def lumas(frames):
    """(T, H, W) float32 in [0, 1]."""
    planes = [torch.from_numpy(plane_view(frame, 0).astype(np.float32)) for frame in frames]
    return torch.stack(planes) / peak_of(frames[0])


def peak_of(frame):
    """The largest value of a sample."""
    return (1 << depth_of(frame)) - 1


def enhancer_of(model, frame, view=None, **limits):
    """An enhancer for frames like this one."""
    return Enhancer(
        model,
        device=CPU,
        view=view or view_for(model.spec.planes, frame),
        probe=frame,
        options=ModelOptions(precision="fp32", **limits),
    )


def enhanced(model, frames, **limits):
    """The frames that come out, the enhancer and the watch."""
    enhancer = enhancer_of(model, frames[0], **limits)
    watch = FrameAnalyzer(planes=enhancer.view.planes, temporal=enhancer.is_temporal)
    write = ResultWriter(enhancer.view.planes)
    result = []
    for bundle in enhancer(watch(FrameBundle(frame=frame) for frame in frames)):
        write(bundle)
        result.append(bundle.frame)
    return result, enhancer, watch


def assert_luma(frames, expected):
    """Fails unless the luma of ``frames`` is ``expected``, (T, H, W) in [0, 1], rounded."""
    peak = peak_of(frames[0])
    rounded = (expected * peak).round().clamp(0, peak).numpy()
    actual = np.stack([plane_view(frame, 0) for frame in frames])
    np.testing.assert_array_equal(actual, rounded)
