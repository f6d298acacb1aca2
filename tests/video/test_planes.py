"""Samples in and out of frames."""

import av
import numpy as np
import pytest
import torch

from support.media import samples
from vqe_fast.video.planes import (
    as_values,
    load_planes,
    luma_view,
    store_planes,
    values_as_samples,
)

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


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_every_value_survives_the_way_to_floats_and_back(depth):
    frame = av.VideoFrame(256, 16, "gray" if depth == 8 else f"gray{depth}le")
    samples = np.arange(4096).reshape(16, 256) % (1 << depth)
    luma_view(frame)[:] = samples
    (plane,) = load_planes(frame, 1, CPU)
    luma = as_values(plane, depth)
    assert luma.shape == (1, 1, 16, 256)
    assert luma.dtype is torch.float32
    assert (luma.min(), luma.max()) == (0, 1)
    luma_view(frame)[:] = 0
    store_planes(frame, [values_as_samples(luma, depth)])
    assert (luma_view(frame) == samples).all()


def test_values_are_clamped_and_rounded():
    """Truncation would darken by half a step; overflow would turn white black."""
    values = torch.tensor([1.5, -0.5, 99.6 / 255, 0.0])
    assert values_as_samples(values, 8).tolist() == [255, 0, 100, 0]


def test_padding_and_chroma_are_not_written(frame):
    store_planes(frame, [torch.full((1, 1, 27, 35), 255, dtype=torch.uint8)])
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(27, -1)
    assert (rows[:, :35] == 255).all()
    assert (rows[:, 35:] == 77).all()
    assert all((samples(plane) == 77).all() for plane in frame.planes[1:])
