"""A clip that lost to compression, as tensors, for the overfit checks of the models."""

from fractions import Fraction

import av
import numpy as np
import torch

from support.media import texture


def compressed_clip(path, frames=3, size=64, qp=40):
    """Original and compressed frames of moving waves, (1, T, 3, H, W) RGB in [0, 1].

    Args:
        path: file to put the clip in.
        frames: how many.
        size: height and width.
        qp: constant quantisation parameter of x264.
    """
    originals = [_original(number, size) for number in range(frames)]
    with av.open(str(path), "w") as container:
        options = {"qp": str(qp), "preset": "veryfast"}
        stream = container.add_stream("libx264", 25, width=size, height=size, options=options)
        stream.pix_fmt = "yuv420p"
        for frame in originals:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    assert len(decoded) == frames
    return _tensor(originals), _tensor(decoded)


def _original(number, size):
    frame = av.VideoFrame(size, size, "yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, 25)
    texture(frame)
    return frame


def psnr(actual, expected):
    """In dB, of values in [0, 1]."""
    return -10 * (actual.clamp(0, 1) - expected).square().mean().log10().item()


def _tensor(frames):
    pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)[None].float() / 255
