"""Frames that repeat the one before."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from support.frames import assert_luma, enhanced, lumas, textured
from support.media import read_frames, texture, write_clip
from support.modules import LUMA_SPEC, Blend, Pointwise, Recurrent, RunsOut, StreamedBlend
from vqe_fast.video import enhance_video
from vqe_fast.video.frames.duplicates import Repeats
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.bundle import FrameBundle

COLOR_SPEC = replace(LUMA_SPEC, planes="rgb")


def on_twos(frame):
    """Animation: each drawing lasts two frames."""
    ticks = frame.pts
    frame.pts = ticks // 80 * 80
    texture(frame)
    frame.pts = ticks


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("scan", ["prog", "tff"])
def test_they_are_counted_and_cost_nothing(tmp_path, pixel_format, scan):
    source = write_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        pts=list(range(0, 400, 40)),
        time_base=Fraction(1, 1000),
        draw=on_twos,
        pixel_format=pixel_format,
        scan=scan,
    )
    peak = 255 if pixel_format == "yuv420p" else 1023
    model = RunsOut(Pointwise(lambda luma: 1 - luma))
    options = {"codec": "ffv1", "precision": "fp32", "interlaced": "fields"}
    report = enhance_video(source, tmp_path / "out.mkv", model, **options)
    assert (report.frames_out, report.duplicated, len(model.sizes)) == (10, 5, 5)
    for (time, old), (same, new) in zip(
        read_frames(source), read_frames(tmp_path / "out.mkv"), strict=True
    ):
        assert time == same and (new[0] == peak - old[0]).all()


@pytest.mark.parametrize("planes", ["y", "rgb"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le"])
def test_what_the_model_does_not_see_does_not_count(planes, pixel_format):
    """Equal luma under other chroma is a repeat to a model of luma, which keeps that chroma."""
    frames = [textured(0, pixel_format=pixel_format) for _ in range(3)]
    plane_view(frames[1], 1)[:] = 200
    plane_view(frames[2], 0)[5, 5] ^= 1
    chroma = [plane_view(frame, 1).copy() for frame in frames]
    spec = replace(LUMA_SPEC, planes=planes)
    result, _, watch = enhanced(Pointwise(lambda x: 1 - x, spec=spec), frames)
    assert watch.repeats == (1 if planes == "y" else 0)
    if planes == "y":
        for frame, before in zip(result, chroma, strict=True):
            np.testing.assert_array_equal(plane_view(frame, 1), before)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(64, 48), (35, 130)])
def test_one_sample_anywhere_makes_a_difference(size, pixel_format):
    """A few rows are compared first, the others only if these are equal."""
    width, height = size
    rows = {0, 1, height // 2, 63, 64, 65, 128, height - 1} & set(range(height))
    for row in sorted(rows):
        for column in (0, width - 1):
            repeats = Repeats(1)
            frames = [textured(0, size, pixel_format) for _ in range(3)]
            plane_view(frames[2], 0)[row, column] ^= 1
            assert [repeats(frame) for frame in frames] == [False, True, False]


@pytest.mark.parametrize("temporal", [False, True])
def test_frames_may_be_changed_once_they_are_given_back(temporal):
    """Each is given back when the next one has been compared with it, but packets do not wait."""
    numbers = [0, 0, None, None, 0, 1, 1, 1, None, 2, 2]
    bundles = [
        FrameBundle(frame=None if number is None else textured(number)) for number in numbers
    ]
    taken = 0

    def counted():
        nonlocal taken
        for bundle in bundles:
            taken += 1
            yield bundle

    watch = FrameAnalyzer(planes=1, temporal=temporal)
    told = []
    for place, bundle in enumerate(watch(counted())):
        assert bundle is bundles[place]
        if bundle.frame is None:
            assert temporal or taken == place + 1
        else:
            told.append(bundle.repeats)
            plane_view(bundle.frame, 0)[:] = place
    assert told == [False, True, True, False, True, True, False, True]
    assert watch.repeats == 5


@pytest.mark.parametrize(
    "model",
    [Blend(3.0, 2.0, 1.0), StreamedBlend(3.0, 2.0, 1.0), Recurrent()],
    ids=["window", "stream", "recurrent"],
)
def test_neighbours_are_frames_that_differ(model):
    """A repeat as a neighbour would have nothing to tell."""
    drawings = [textured(number) for number in range(6)]
    single, _, _ = enhanced(model, drawings)
    twice = [textured(number // 2) for number in range(12)]
    result, _, watch = enhanced(model, twice)
    assert watch.repeats == 6
    assert_luma(result, lumas(single).repeat_interleave(2, 0))


def test_a_still_gets_no_neighbours():
    """Or the frames that wait for the next different one would fill the memory."""
    model = Blend(3.0, 2.0, 1.0)
    frames = [textured(max(number - 9, 0)) for number in range(12)]
    still, last = ([textured(number) for number in numbers] for numbers in ((0,), (1, 2)))
    expected = lumas(enhanced(model, still)[0] * 10 + enhanced(model, last)[0])
    result, _, watch = enhanced(model, frames)
    assert watch.repeats == 9
    assert_luma(result, expected)
