"""Luma in and out of frames."""

import av
import numpy as np
import pytest
import torch

from support.media import samples
from vqe_fast.video.planes import luma_view, read_luma, write_luma

CPU = torch.device("cpu")


@pytest.fixture
def frame():
    """35×27: rows end in padding, which holds a value that no test writes."""
    frame = av.VideoFrame(35, 27, "yuv420p")
    for plane in frame.planes:
        np.frombuffer(plane, np.uint8)[:] = 77
    assert frame.planes[0].line_size > 35
    return frame


def test_view_is_the_frame_itself(frame):
    view = luma_view(frame)
    assert view.shape == (27, 35)
    view[3, 34] = 200
    assert samples(frame.planes[0])[3, 34] == 200


def test_every_value_survives_the_way_to_floats_and_back():
    frame = av.VideoFrame(256, 16, "gray")
    luma_view(frame)[:] = np.arange(256)
    luma = read_luma(frame, CPU)
    assert luma.shape == (1, 1, 16, 256)
    assert luma.dtype is torch.float32
    assert (luma.min(), luma.max()) == (0, 1)
    luma_view(frame)[:] = 0
    write_luma(frame, luma)
    assert (luma_view(frame) == np.arange(256)).all()


def test_values_are_clamped_and_rounded(frame):
    """Truncation would darken by half a step; overflow would turn white black."""
    luma = torch.zeros(1, 1, 27, 35)
    luma[..., 0], luma[..., 1], luma[..., 2] = 1.5, -0.5, 99.6 / 255
    write_luma(frame, luma)
    assert luma_view(frame)[0, :4].tolist() == [255, 0, 100, 0]


def test_padding_and_chroma_are_not_written(frame):
    write_luma(frame, torch.ones(1, 1, 27, 35))
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(27, -1)
    assert (rows[:, 35:] == 77).all()
    assert all((samples(plane) == 77).all() for plane in frame.planes[1:])
