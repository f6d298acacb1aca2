"""Pixel formats: which have a plane of luma, and that samples are only laid out anew."""

import av
import numpy as np
import pytest

from support.media import planes_of
from vqe_fast.video.frames.pixel_formats import (
    bit_depth,
    has_luma_plane,
    planar_twin,
    without_implied_range,
)
from vqe_fast.video.frames.reformat import Converter


@pytest.mark.parametrize(
    "name", ["yuv420p", "yuvj422p", "yuv411p", "yuva444p", "gray", "gray12le", "yuv444p16le"]
)
def test_planar_luma(name):
    assert has_luma_plane(name)
    assert planar_twin(name) == name


@pytest.mark.parametrize(
    "name", ["gbrp", "rgb24", "pal8", "monow", "ya8", "grayf32le", "grayf16le", "xyz12le"]
)
def test_no_luma_plane(name):
    """Indices of a palette, floats or green taken for luma would be noise."""
    assert not has_luma_plane(name)
    assert planar_twin(name) is None


def test_depth_and_range():
    assert [bit_depth(name) for name in ("yuvj420p", "yuv420p10le", "gray12le")] == [8, 10, 12]
    assert without_implied_range("yuvj444p") == "yuv444p"
    assert without_implied_range("yuv444p") == "yuv444p"


INTERLEAVED = {"nv12": (0, 1), "nv21": (1, 0), "nv16": (0, 1), "nv24": (0, 1), "nv42": (1, 0)}


@pytest.mark.parametrize("name", INTERLEAVED)
def test_interleaved_chroma(name):
    frame = noise(name)
    assert planar_twin(name) is not None
    luma, *chroma = planes_of(Converter(planar_twin(name))(frame))
    np.testing.assert_array_equal(luma, rows(frame, 0, np.uint8)[:, : luma.shape[1]])
    pairs = rows(frame, 1, np.uint8)
    for plane, place in zip(chroma, INTERLEAVED[name], strict=True):
        np.testing.assert_array_equal(plane, pairs[:, place::2][:, : plane.shape[1]])


@pytest.mark.parametrize(
    ("name", "depth", "shift"),
    [("p010le", 10, 6), ("p012le", 12, 4), ("p210le", 10, 6), ("p410le", 10, 6), ("nv20le", 10, 0)],
)
def test_interleaved_chroma_of_more_bits(name, depth, shift):
    """Samples in the upper bits, taken as they are, would be 64 times too bright."""
    frame = noise(name, depth, shift)
    luma, *chroma = planes_of(Converter(planar_twin(name))(frame))
    np.testing.assert_array_equal(luma, rows(frame, 0, np.uint16)[:, : luma.shape[1]] >> shift)
    pairs = rows(frame, 1, np.uint16) >> shift
    for place, plane in enumerate(chroma):
        np.testing.assert_array_equal(plane, pairs[:, place::2][:, : plane.shape[1]])


@pytest.mark.parametrize("name", ["yuv420p10be", "yuv444p12be", "gray10be"])
def test_big_endian(name):
    frame = noise(name, bit_depth(name), 0, ">u2")
    for index, plane in enumerate(planes_of(Converter(planar_twin(name))(frame))):
        np.testing.assert_array_equal(plane, rows(frame, index, ">u2")[:, : plane.shape[1]])


@pytest.mark.parametrize(("name", "places"), [("yuyv422", (0, 1, 3)), ("uyvy422", (1, 0, 2))])
def test_packed(name, places):
    frame = noise(name)
    data = rows(frame, 0, np.uint8)
    steps = (2, 4, 4)
    planes = planes_of(Converter(planar_twin(name))(frame))
    for plane, place, step in zip(planes, places, steps, strict=True):
        np.testing.assert_array_equal(plane, data[:, place::step][:, : plane.shape[1]])


@pytest.mark.parametrize("name", ["yuvj420p", "yuvj444p"])
def test_implied_range_becomes_a_tag(name):
    """swscale squeezes full range into limited if it is not told."""
    frame = noise(name)
    converted = Converter(without_implied_range(name))(frame)
    assert converted.format.name == without_implied_range(name)
    assert converted.color_range == 2
    for plane, original in zip(planes_of(converted), planes_of(frame), strict=True):
        np.testing.assert_array_equal(plane, original)


def test_more_bits_and_fewer():
    """Eight bits shown in ten are four times the number, and come back as they were."""
    frame = noise("yuv420p")
    frame.pts, frame.color_range, frame.colorspace = 5, 1, 9
    deep = Converter("yuv420p10le")(frame)
    assert (deep.pts, deep.color_range, deep.colorspace) == (5, 1, 9)
    for plane, original in zip(planes_of(deep), planes_of(frame), strict=True):
        np.testing.assert_array_equal(plane, original.astype(np.uint16) * 4)
    back = Converter("yuv420p")(deep)
    for plane, original in zip(planes_of(back), planes_of(frame), strict=True):
        np.testing.assert_array_equal(plane, original)


def test_rgb_becomes_bt709_and_says_so():
    frame = av.VideoFrame(16, 16, "gbrp")
    for plane, value in zip(frame.planes, (0, 0, 255), strict=True):  # green, blue, red
        np.frombuffer(plane, np.uint8)[:] = value
    converted = Converter("yuv444p")(frame)
    assert (converted.colorspace, converted.color_range) == (1, 1)
    assert [int(plane[8, 8]) for plane in planes_of(converted)] == [63, 102, 240]


def noise(name, depth=8, shift=0, dtype=None):
    """A frame of 34×26 with random samples of so many bits, shifted to the left."""
    generator = np.random.default_rng(0)
    frame = av.VideoFrame(34, 26, name)
    for plane in frame.planes:
        view = np.frombuffer(plane, np.uint8 if depth == 8 else dtype or np.uint16)
        view[:] = generator.integers(0, 1 << depth, view.shape).astype(view.dtype) << shift
    return frame


def rows(frame, index, dtype):
    plane = frame.planes[index]
    return np.frombuffer(plane, dtype).reshape(plane.height, -1)
