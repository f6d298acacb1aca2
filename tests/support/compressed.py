"""A clip that lost to compression, as tensors, for the overfit checks of the models.

Where PyAV is not installed, tests that ask for one are skipped, and no others.
"""

import io
from fractions import Fraction

import numpy as np
import pytest
import torch


def compressed_clip(path, frames=3, size=64, qp=40):
    """Original and compressed frames of moving waves, (1, T, 3, H, W) RGB in [0, 1].

    Args:
        path: file to put the clip in.
        frames: how many.
        size: height and width.
        qp: constant quantisation parameter of x264.
    """
    av = pytest.importorskip("av")
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


def crops_of(path, *, qp, places, frames=3, size=64):
    """Some places of a real clip, before and after x264: two of (places, T, 3, size, size).

    Args:
        path: of the clip.
        qp: constant quantisation parameter.
        places: how many crops, side by side through the middle of the frame.
        frames: how many, from the clip's first on.
        size: height and width of a crop.
    """
    av = pytest.importorskip("av")
    from vqe_fast.data.clips import read_clip
    from vqe_fast.data.degradation import Degradation
    from vqe_fast.data.encoding import encode

    clip = read_clip(path, frames)
    originals, coded = list(clip.frames), io.BytesIO()
    encode(originals, Degradation("libx264", "qp", qp), clip.rate, coded)
    coded.seek(0)
    with av.open(coded) as container:
        decoded = list(container.decode(video=0))
    assert len(decoded) == frames
    middle = originals[0].height // 2 - size // 2
    return [
        torch.cat(
            [whole[..., middle : middle + size, size * n : size * (n + 1)] for n in range(places)]
        )
        for whole in (_tensor(originals), _tensor(decoded))
    ]


def _original(number, size):
    import av

    from support.media import texture

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
