"""What models see of frames, and how their changes get into the planes."""

from dataclasses import replace

import av
import numpy as np
import pytest
import torch

from support.frames import CPU, enhanced, textured
from support.media import read_frames, write_clip
from support.memory import threads
from support.modules import LUMA_SPEC, Blend, Pointwise
from vqe_fast.data.color import rgb_of
from vqe_fast.video import enhance_video
from vqe_fast.video.frames.color import ColorFacts
from vqe_fast.video.frames.model_input import view_for
from vqe_fast.video.frames.planes import depth_of, plane_view
from vqe_fast.video.frames.tensors import load_planes

COLOR_SPEC = replace(LUMA_SPEC, planes="rgb")
MATRICES = {"BT.709": 1, "BT.601": 5, "SMPTE 170M": 6, "BT.2020": 9, "untagged": 2}


FORMATS = [
    *("yuv420p", "yuv422p", "yuv444p", "gray"),
    *("yuv420p10le", "yuv422p10le", "yuv444p10le", "gray10le"),
    *("yuv420p12le", "yuv422p12le", "yuv444p12le", "yuv444p16le"),
    *("yuv411p", "yuv410p", "yuv440p", "yuva420p", "yuva444p10le"),
]
MODELS = {
    "one frame": Pointwise(spec=COLOR_SPEC),
    "window": Blend(0.0, 1.0, 0.0, spec=COLOR_SPEC),
    "recurrent": Pointwise(spec=replace(COLOR_SPEC, recurrent=True)),
}


def noise(pixel_format, *, matrix=2, color_range=1, size=(35, 27)):
    """Every value everywhere, those that stand for no colour at all included."""
    frame = av.VideoFrame(*size, pixel_format)
    frame.colorspace, frame.color_range = matrix, color_range
    generator = np.random.default_rng(0)
    for index in range(len(frame.planes)):
        view = plane_view(frame, index)
        view[:] = generator.integers(0, 1 << depth_of(frame), view.shape)
    return frame


def seen(frame):
    view = view_for("rgb", frame)
    planes = load_planes(frame, view.planes, CPU)
    return view, planes, view.values(planes)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "gray", "yuv420p10le"]
)
def test_nothing_changed_gives_every_sample_back(pixel_format, matrix, color_range):
    """A round trip through 8-bit RGB loses up to several steps, and all that is out of gamut."""
    frame = noise(pixel_format, matrix=MATRICES[matrix], color_range=color_range)
    view, planes, rgb = seen(frame)
    assert rgb.shape == (1, 3, 27, 35) and rgb.min() >= 0 and rgb.max() <= 1
    for old, new in zip(planes, view.samples(planes, rgb + 1e-6), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_from_file_to_file(tmp_path, pixel_format, model):
    """What changes nothing changes nothing, in every format that there are encoders for."""
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", pixel_format=pixel_format, size=(71, 50), frames=3
    )
    report = enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1")
    assert report.pixel_format == pixel_format
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


@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv422p", "yuv444p", "gray", "yuv422p10le", "yuv444p12le"]
)
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_changes_arrive(pixel_format, matrix):
    """What comes out, seen again, is what the model made of it, to the rounding of samples."""
    frame = av.VideoFrame(64, 48, pixel_format)
    frame.colorspace, frame.color_range = matrix, 1
    for index in range(len(frame.planes)):
        plane_view(frame, index)[:] = (128 if index else 110) << (depth_of(frame) - 8)
    view, planes, rgb = seen(frame)
    step = 1 / ((1 << depth_of(frame)) - 1)
    change = torch.tensor([0.05, 0.02, -0.04] if pixel_format != "gray" else [0.04] * 3)
    wanted = rgb + change.view(1, 3, 1, 1)
    after = view.values(view.samples(planes, wanted))
    assert (after - wanted).abs().max() < 1.5 * step
    assert (after - rgb).abs().max() > 0.03


@pytest.mark.parametrize("location", ["left", "topleft", "center"])
def test_chroma_is_seen_where_the_stream_says_that_it_lies(tmp_path, location):
    """HDR has it in the corner, JPEG in the middle; taken for left, colours shift."""
    source = write_clip(
        tmp_path / "in.mkv",
        frames=2,
        prepare=lambda _, video: video.codec_context.options.update(
            chroma_sample_location=location
        ),
    )
    given = []
    model = Pointwise(lambda rgb: given.append(rgb.clone()) or rgb, COLOR_SPEC)
    with threads(1):  # one frame after the other
        enhance_video(source, tmp_path / "out.mkv", model, precision="fp32")
    with av.open(str(source)) as container:
        frame = next(container.decode(video=0))
    planes = load_planes(frame, 3, CPU)
    expected = {
        name: view_for("rgb", frame, chroma_location=name).values(planes)
        for name in ("left", "topleft", "center")
    }
    assert [name for name in expected if torch.equal(expected[name], given[0])] == [location]


def test_a_luma_model_leaves_chroma_alone():
    frames = [textured(number) for number in range(3)]
    chroma = [plane_view(frame, 1).copy() for frame in frames]
    result, _, _ = enhanced(Pointwise(lambda luma: luma + 0.1), frames)
    for frame, before in zip(result, chroma, strict=True):
        np.testing.assert_array_equal(plane_view(frame, 1), before)
