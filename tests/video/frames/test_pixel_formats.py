"""Pixel formats: which have a plane of luma, and that samples are only laid out anew."""

import av
import numpy as np
import pytest

from support.media import planes_of, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.frames.pixel_formats import (
    bit_depth,
    has_luma_plane,
    is_video,
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


@pytest.mark.parametrize("color_range", [0, 1, 2])
@pytest.mark.parametrize("target", ["yuv420p", "yuv444p", "yuva444p", "gray10le"])
@pytest.mark.parametrize("name", ["gray", "ya8"])
def test_grey_is_luma(name, target, color_range):
    """FFmpeg takes all grey for full range, and would make limited range of it."""
    frame = av.VideoFrame(16, 8, name)
    samples = np.frombuffer(frame.planes[0], np.uint8).reshape(8, -1)
    step = 2 if name == "ya8" else 1
    samples[:] = np.arange(samples.size).reshape(samples.shape) % 251
    frame.color_range = color_range
    converted = Converter(target)(frame)
    luma, *others = planes_of(converted)
    if target == "gray10le":
        assert np.abs(luma / 4 - samples[:, : 16 * step : step]).max() < 1
    else:
        np.testing.assert_array_equal(luma, samples[:, : 16 * step : step])
    assert converted.color_range == color_range
    for chroma in others[:2]:
        assert (chroma == 128).all()
    if name == "ya8" and target == "yuva444p":
        np.testing.assert_array_equal(others[2], samples[:, 1:32:2])


@pytest.mark.parametrize(
    ("name", "place", "target"),
    [
        ("rgba", 3, "yuva444p"),
        ("bgra", 3, "yuva420p"),
        ("argb", 0, "yuva444p"),
        ("rgba64le", 3, "yuva444p16le"),
    ],
)
def test_transparency_of_rgb_stays_what_it_is(name, place, target):
    """Straight from packed RGB, swscale makes other values of every second one."""
    frame = av.VideoFrame(64, 4, name)
    samples = np.frombuffer(frame.planes[0], np.uint16 if "64" in name else np.uint8)
    samples[:] = 128
    samples[place::4] = np.arange(samples.size // 4) % 256
    alpha = planes_of(Converter(target)(frame))[3]
    np.testing.assert_array_equal(alpha, samples.reshape(4, -1)[:, place : 64 * 4 : 4])


def test_luma_becomes_grey_as_it_is():
    frame = av.VideoFrame(16, 8, "yuv420p")
    for index, plane in enumerate(frame.planes):
        plane.update(bytes([235 if index == 0 else 128]) * plane.buffer_size)
    frame.color_range = 1
    converted = Converter("gray")(frame)
    assert (planes_of(converted)[0] == 235).all() and converted.color_range == 1


PACKED = {
    # name: places of the planes' samples in a pixel, how many it has, bits that are not used
    "ayuv": ((1, 2, 3, 0), 4, 0),
    "vuya": ((2, 1, 0, 3), 4, 0),
    "uyva": ((1, 0, 2, 3), 4, 0),
    "vuyx": ((2, 1, 0), 4, 0),
    "vyu444": ((1, 2, 0), 3, 0),
    "ayuv64le": ((1, 2, 3, 0), 4, 0),
    "xv36le": ((1, 0, 2), 4, 4),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_samples(name):
    places, count, unused = PACKED[name]
    frame = noise(name)
    deep = name.endswith("le")
    rows = np.frombuffer(frame.planes[0], np.uint16 if deep else np.uint8)
    rows[:] = rows >> unused << unused
    rows = rows.reshape(frame.height, -1)
    planes = planes_of(Converter(planar_twin(name))(frame))
    assert len(planes) == len(places)
    for plane, place in zip(planes, places, strict=True):
        samples = rows[:, place : frame.width * count : count]
        np.testing.assert_array_equal(plane, samples >> unused)


@pytest.mark.parametrize(("name", "unused"), [("y210le", 6), ("y212le", 4)])
def test_packed_samples_of_halved_chroma(name, unused):
    frame = noise(name)
    rows = np.frombuffer(frame.planes[0], np.uint16)
    rows[:] = rows >> unused << unused
    rows = rows.reshape(frame.height, -1)[:, : frame.width * 2] >> unused
    planes = planes_of(Converter(planar_twin(name))(frame))
    for plane, samples in zip(planes, (rows[:, ::2], rows[:, 1::4], rows[:, 3::4]), strict=True):
        np.testing.assert_array_equal(plane, samples)


def test_samples_of_ten_bits_in_a_word():
    frame = noise("xv30le")
    words = np.frombuffer(frame.planes[0], np.uint32).reshape(frame.height, -1)[:, : frame.width]
    planes = planes_of(Converter(planar_twin("xv30le"))(frame))
    for plane, shift in zip(planes, (10, 0, 20), strict=True):
        np.testing.assert_array_equal(plane, words >> shift & 1023)


def is_readable(name):
    try:
        av.VideoFrame(16, 8, name)
    except (ValueError, av.error.FFmpegError):
        return False
    return True


@pytest.mark.parametrize("name", [n for n in sorted(av.video.format.names) if is_readable(n)])
def test_white_of_every_format(name):
    """What is no video becomes BT.709 in limited range; or FFmpeg cannot, which is one sentence.

    The brightest samples of video stay what they are.
    """
    frame = av.VideoFrame(16, 8, name)
    for plane in frame.planes:
        plane.update(b"\xff" * plane.buffer_size)
    if "f16" in name or "f32" in name:
        one = np.array(1, ">f4" if "32" in name else ">f2").tobytes()
        one = one if name.endswith("be") else one[::-1]
        for plane in frame.planes:
            plane.update(one * (plane.buffer_size // len(one)))
    for target in ("yuv444p", "yuva444p", "gray"):
        try:
            converted = Converter(target)(frame)
        except VideoError as error:
            assert f"does not convert {name} to" in str(error)
            continue
        assert converted.format.name == target
        if not is_video(name) and not name.startswith(("gbr", "xyz", "mono")):  # not white
            assert abs(int(planes_of(converted)[0].min()) - 235) <= 1
            assert (converted.colorspace, converted.color_range) == (1, 1)


def test_transparency_that_is_not_kept_is_reported(tmp_path):
    source = write_clip(tmp_path / "in.mov", codec="qtrle", pixel_format="argb", draw=plain)
    for pixel_format, lost in (("yuva444p", ()), ("yuv444p", ("transparency",))):
        target = tmp_path / f"{pixel_format}.mkv"
        report = enhance_video(source, target, "identity", codec="ffv1", pix_fmt=pixel_format)
        assert report.not_kept == lost
    with pytest.raises(VideoError, match="such as yuva444p, which keeps transparency"):
        enhance_video(source, tmp_path / "out.mkv", "identity", codec="ffv1")


def plain(frame):
    for plane in frame.planes:
        plane.update(b"\x80" * plane.buffer_size)
