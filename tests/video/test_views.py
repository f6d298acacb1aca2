"""What models see of frames, and how their changes get into the planes."""

from dataclasses import replace

import av
import numpy as np
import pytest
import torch

from support.frames import CPU, enhanced, textured
from support.media import read_frames, write_clip
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.training.color import rgb_of
from vqe_fast.video import enhance_video
from vqe_fast.video.chroma import enlarge, shrink
from vqe_fast.video.color import ColorFacts
from vqe_fast.video.planes import load_planes, plane_view
from vqe_fast.video.views import ColorView

COLOR_SPEC = replace(LUMA_SPEC, planes="rgb")
MATRICES = {"BT.709": 1, "BT.601": 5, "SMPTE 170M": 6, "BT.2020": 9, "untagged": 2}


def noise(pixel_format, *, matrix=2, color_range=1, size=(35, 27), depth=8):
    """Every value everywhere, those that stand for no colour at all included."""
    frame = av.VideoFrame(*size, pixel_format)
    frame.colorspace, frame.color_range = matrix, color_range
    generator = np.random.default_rng(0)
    for index in range(len(frame.planes)):
        view = plane_view(frame, index)
        view[:] = generator.integers(0, 1 << depth, view.shape)
    return frame


def seen(frame):
    view = ColorView(frame)
    planes = load_planes(frame, view.planes, CPU)
    return view, planes, view.values(planes)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "gray", "yuv420p10le"]
)
def test_nothing_changed_gives_every_sample_back(pixel_format, matrix, color_range):
    """A round trip through 8-bit RGB loses up to several steps, and all that is out of gamut."""
    depth = 10 if pixel_format.endswith("10le") else 8
    frame = noise(pixel_format, matrix=MATRICES[matrix], color_range=color_range, depth=depth)
    view, planes, rgb = seen(frame)
    assert rgb.shape == (1, 3, 27, 35) and rgb.min() >= 0 and rgb.max() <= 1
    for old, new in zip(planes, view.samples(planes, rgb + 1e-6), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p"])
def test_from_file_to_file(tmp_path, pixel_format):
    source = write_clip(tmp_path / "in.mkv", pixel_format=pixel_format, frames=3)
    enhance_video(source, tmp_path / "out.mkv", Pointwise(spec=COLOR_SPEC), codec="ffv1")
    pairs = zip(read_frames(source), read_frames(tmp_path / "out.mkv"), strict=True)
    for (_, old), (_, new) in pairs:
        assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("matrix", [1, 4, 5, 7, 9])
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
def test_colours_are_those_of_swscale(matrix, color_range):
    """As in training; a wrong matrix shifts red and blue by ten steps."""
    for samples in ((120, 100, 160), (60, 140, 120), (180, 128, 128)):
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.colorspace, frame.color_range = matrix, color_range
        for index, value in enumerate(samples):
            plane_view(frame, index)[:] = value
        expected = rgb_of(frame, ColorFacts.of(frame))[:, 20, 30]
        _, _, rgb = seen(frame)
        assert np.abs(rgb[0, :, 20, 30].numpy() * 255 - expected).max() < 1


def test_untagged_by_size():
    """BT.709 from 720 rows on, BT.601 below."""
    frames = [noise("yuv420p", size=(16, rows)) for rows in (718, 720)]
    assert [ColorFacts.of(frame).matrix for frame in frames] == [5, 1]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "gray"])
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_changes_arrive(pixel_format, matrix):
    """What comes out, seen again, is what the model made of it, to the rounding of samples."""
    frame = av.VideoFrame(64, 48, pixel_format)
    frame.colorspace, frame.color_range = matrix, 1
    for index in range(len(frame.planes)):
        plane_view(frame, index)[:] = 128 if index else 110
    view, planes, rgb = seen(frame)
    change = torch.tensor([0.05, 0.02, -0.04] if pixel_format != "gray" else [0.04] * 3)
    wanted = rgb + change.view(1, 3, 1, 1)
    after = view.values(view.samples(planes, wanted))
    assert (after - wanted).abs().max() < 1.5 / 255
    assert (after - rgb).abs().max() > 0.03


def test_chroma_lies_at_the_left_and_between_rows():
    """A shift by half a pixel shows as colour fringes."""
    ramp = torch.arange(8.0).view(1, 1, 8, 1).expand(1, 1, 8, 6)
    rows = torch.arange(16.0) / 2 - 0.25
    assert torch.allclose(enlarge(ramp, (16, 6))[0, 0, 1:-1, 0], rows[1:-1])
    across = torch.arange(8.0).view(1, 1, 1, 8)
    assert torch.allclose(enlarge(across, (1, 16))[0, 0, 0, :-1], torch.arange(15.0) / 2)
    fine = torch.arange(16.0).view(1, 1, 16, 1).expand(1, 1, 16, 6)
    assert torch.allclose(shrink(fine, (8, 6))[0, 0, 1:-1, 0], torch.arange(8.0)[1:-1] * 2 + 0.5)
    across = torch.arange(16.0).view(1, 1, 1, 16)
    assert torch.allclose(shrink(across, (1, 8))[0, 0, 0, 1:], torch.arange(8.0)[1:] * 2)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 5), (8, 6)])
@pytest.mark.parametrize("halved", [(False, True), (True, True)])
def test_averages_undo_interpolation_of_what_is_even(size, halved):
    """And any size works."""
    small = tuple(-(-side // 2) if half else side for side, half in zip(size, halved, strict=True))
    even = torch.full((1, 2, *small), 0.3)
    large = enlarge(even, size)
    assert large.shape[-2:] == size
    torch.testing.assert_close(shrink(large, small), even)


def test_a_luma_model_leaves_chroma_alone():
    frames = [textured(number) for number in range(3)]
    chroma = [plane_view(frame, 1).copy() for frame in frames]
    result, _, _ = enhanced(Pointwise(lambda luma: luma + 0.1), frames)
    for frame, before in zip(result, chroma, strict=True):
        np.testing.assert_array_equal(plane_view(frame, 1), before)
