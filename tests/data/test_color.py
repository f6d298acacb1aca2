import av
import numpy as np
import pytest

from vqe_fast.data.color import (
    ColorFacts,
    luma_of,
    rgb_of,
    rows_of,
    samples_of,
    split_planes,
    to_yuv420p,
    yuv_of,
)

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114)}
COLORS = [(200, 40, 90), (12, 250, 31), (5, 3, 240), (255, 255, 255), (0, 0, 0)]


def flat(values, pixel_format="yuv420p", size=(32, 16)):
    frame = av.VideoFrame(*size, pixel_format)
    for plane, value in zip(frame.planes, values, strict=True):
        rows_of(plane)[:] = value
    return frame


def coded(color, matrix, full):
    """Y'CbCr of an RGB colour by the definition of the matrix."""
    red_weight, blue_weight = WEIGHTS[matrix]
    red, green, blue = color
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma = (blue - luma) / 2 / (1 - blue_weight), (red - luma) / 2 / (1 - red_weight)
    if full:
        return [round(luma), *(min(round(128 + c), 255) for c in chroma)]
    return [round(16 + luma * 219 / 255), *(round(128 + c * 224 / 255) for c in chroma)]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("color", COLORS)
def test_matrix_and_range(color, matrix, full):
    """Against the definitions: a wrong matrix is off by 20 and looks nearly right."""
    facts = ColorFacts(matrix, full)
    pixels = np.empty((3, 16, 32), np.uint8)
    pixels[:] = np.reshape(color, (3, 1, 1))
    frame = yuv_of(pixels, facts)
    assert ColorFacts.of(frame) == facts
    for plane, value in zip(frame.planes, coded(color, matrix, full), strict=True):
        assert np.abs(rows_of(plane).astype(int) - value).max() <= 1
    read = rgb_of(flat(coded(color, matrix, full)), facts)
    assert np.abs(read.astype(int) - np.reshape(color, (3, 1, 1))).max() <= 3


@pytest.mark.parametrize("pixel_format", ("yuv420p", "yuvj420p", "yuv444p", "rgb24", "gray"))
def test_planes_one_after_the_other(pixel_format):
    """4:2:0 as it is stored, without an odd last column and row; other formats become that."""
    frame = av.VideoFrame(35, 19, pixel_format)
    generator = np.random.default_rng(0)
    for plane in frame.planes:
        packed = np.frombuffer(memoryview(plane), np.uint8)
        packed[:] = generator.integers(16, 235, packed.shape)
    flat = samples_of(frame, "yuv", ColorFacts(1, False))
    luma, blue, red = split_planes(np.stack([flat, flat]), 18, 34)
    assert luma.shape == (2, 18, 34) and blue.shape == red.shape == (2, 9, 17)
    assert np.shares_memory(split_planes(flat, 18, 34)[2], flat)
    expected = frame if "420" in pixel_format else to_yuv420p(frame)
    for found, plane in zip((luma, blue, red), expected.planes, strict=True):
        assert np.array_equal(found[1], rows_of(plane)[: found.shape[1], : found.shape[2]])


def test_facts_given_rule_over_what_a_decoder_says():
    """JPEG decoders claim full range for samples that were coded as they were."""
    values, facts = coded((200, 40, 90), 1, False), ColorFacts(1, False)
    claimed = flat(values, "yuvj420p")
    assert np.array_equal(rgb_of(claimed, facts), rgb_of(flat(values), facts))


@pytest.mark.parametrize(("height", "matrix"), [(576, 5), (720, 1)])
def test_untagged_streams(height, matrix):
    facts = ColorFacts.of(av.VideoFrame(64, height, "yuv420p"))
    assert facts == ColorFacts(matrix, full_range=False)


def test_tags_of_601_by_two_numbers():
    frame = av.VideoFrame(64, 1080, "yuv420p")
    frame.colorspace = 6
    assert ColorFacts.of(frame).matrix == 5


def test_samples_of_8_bit_420_are_not_touched():
    for pixel_format, full in (("yuv420p", False), ("yuvj420p", True)):
        frame = av.VideoFrame(32, 16, pixel_format)
        for plane in frame.planes:
            rows_of(plane)[:] = np.random.default_rng(0).integers(0, 256, rows_of(plane).shape)
        converted = to_yuv420p(frame)
        assert converted.format.name == "yuv420p"
        assert ColorFacts.of(converted).full_range is full
        for before, after in zip(frame.planes, converted.planes, strict=True):
            assert np.array_equal(rows_of(before), rows_of(after))


def test_odd_sides_are_cut():
    frame = flat([100, 90, 80], size=(33, 17))
    rows_of(frame.planes[0])[:, -1] = 255
    even = to_yuv420p(frame)
    assert (even.width, even.height) == (32, 16)
    assert luma_of(even).max() == 100
    assert samples_of(frame, "y", ColorFacts(1, False)).shape == (16, 32)
    assert samples_of(frame, "rgb", ColorFacts(1, False)).shape == (3, 16, 32)


def test_rgb_frames():
    """Red, green and blue in this order, untouched; their luma is that of BT.709."""
    frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), (200, 40, 90), np.uint8), "rgb24")
    facts = ColorFacts.of(frame)
    assert samples_of(frame, "rgb", facts)[:, 3, 5].tolist() == [200, 40, 90]
    assert abs(int(samples_of(frame, "y", facts)[3, 5]) - coded((200, 40, 90), 1, False)[0]) <= 1
