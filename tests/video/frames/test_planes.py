"""Samples in and out of frames."""

import av
import numpy as np
import pytest
import torch

from support.media import samples
from vqe_fast.video.frames.planes import luma_view
from vqe_fast.video.frames.tensors import as_values, load_planes, store_planes, values_as_samples

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


@pytest.mark.parametrize("depth", [8, 9, 10, 12, 14, 16])
def test_every_value_survives_the_way_to_floats_and_back(depth):
    """More bits read as bytes, or divided by 255, or cut to 15, come back as others."""
    values = np.arange(1 << depth).reshape(-1, 64)
    frame = av.VideoFrame(64, len(values), "gray" if depth == 8 else f"gray{depth}le")
    luma_view(frame)[:] = values
    (plane,) = load_planes(frame, 1, CPU)
    luma = as_values(plane, depth)
    assert luma.shape == (1, 1, *values.shape)
    assert luma.dtype is torch.float32
    assert (luma.min(), luma.max()) == (0, 1)
    luma_view(frame)[:] = 0
    store_planes(frame, [values_as_samples(luma, depth)])
    assert (luma_view(frame) == values).all()


@pytest.mark.parametrize("depth", [8, 10])
def test_values_are_clamped_and_rounded(depth):
    """Truncation would darken by half a step; overflow would turn white black."""
    peak = (1 << depth) - 1
    values = torch.tensor([1.5, -0.5, 99.6 / peak, 0.0])
    assert values_as_samples(values, depth).tolist() == [peak, 0, 100, 0]


def test_padding_and_chroma_are_not_written(frame):
    store_planes(frame, [torch.full((1, 1, 27, 35), 255, dtype=torch.uint8)])
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(27, -1)
    assert (rows[:, :35] == 255).all()
    assert (rows[:, 35:] == 77).all()
    assert all((samples(plane) == 77).all() for plane in frame.planes[1:])
