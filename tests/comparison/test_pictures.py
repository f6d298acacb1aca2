"""Stills and temporal profiles, pixel for pixel."""

import numpy as np
import pytest

from support.compared import LOSSLESS, holds, numbered, png_of, write_three
from support.media import texture, write_clip
from vqe_fast.comparison import Crop, Line, draw_profile, draw_stills
from vqe_fast.comparison.boxes import busiest_box
from vqe_fast.comparison.footage import Footage
from vqe_fast.video import VideoError

SIZE = (96, 64)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return write_three(tmp_path_factory.mktemp("three"), frames=6, size=SIZE)


def frames_of(path):
    """The frames as pages and pictures show them, (T, H, W, 3)."""
    with Footage("A", path) as footage:
        return np.stack([footage.pixels(shown).copy() for shown in footage.shown()])


@pytest.fixture
def disturbed(tmp_path):
    """A clip, and the same with a spot of 8×8 brighter pixels in frame 4, and its place."""
    whole = write_clip(tmp_path / "whole.mkv", frames=6, size=SIZE, **LOSSLESS)

    def draw(frame):
        texture(frame)
        if round(frame.pts * float(frame.time_base) * 25) == 4:
            rows = np.frombuffer(frame.planes[0], np.uint8).reshape(SIZE[1], -1)
            rows[40:48, 72:80] ^= 64

    spot = write_clip(tmp_path / "spot.mkv", frames=6, size=SIZE, draw=draw, **LOSSLESS)
    return whole, spot


def test_stills_are_the_pixels_of_the_frames(three, tmp_path):
    target = tmp_path / "stills.png"
    crop = Crop(40, 32, 10, 20)
    drawn = draw_stills(*three[:2], target, reference=three[2], frames=[4, 1], crop=crop)
    assert drawn == [1, 4]
    sheet = png_of(target)
    for path in three:
        for frame in (1, 4):
            part = frames_of(path)[frame][20:52, 10:50]
            # Lines mark what is magnified: at least one half is free of them.
            halves = part[:16], part[16:], part[:, :20], part[:, 20:]
            assert any(holds(sheet, half) for half in halves)


def test_the_greatest_difference_is_drawn_and_magnified(disturbed, tmp_path):
    """Of all frames and within the frame."""
    target = tmp_path / "stills.png"
    progress = []
    drawn = draw_stills(*disturbed, target, progress=lambda *done: progress.append(done))
    assert drawn == [4]
    assert progress[-1] == (6, 6)
    sheet = png_of(target)
    for path in disturbed:
        spot = frames_of(path)[4][40:48, 72:80]
        assert holds(sheet, spot.repeat(4, 0).repeat(4, 1))


def test_crops_stay_small(tmp_path):
    """Of a large frame 480×360 pixels are drawn."""
    big = write_clip(tmp_path / "a.mkv", frames=1, size=(800, 600), **LOSSLESS)
    draw_stills(big, big, tmp_path / "stills.png")
    height, width, _ = png_of(tmp_path / "stills.png").shape
    assert 2 * 480 < width < 2 * 480 + 100
    assert 2 * 360 < height < 2 * 360 + 150


def test_busiest_box():
    weights = np.zeros((20, 30))
    weights[11:14, 20:22] = 1
    assert busiest_box(weights, 2, 3) == (20, 11)
    assert busiest_box(weights, 30, 20) == (0, 0)


@pytest.mark.parametrize("kind", ["row", "column"])
def test_profile(three, tmp_path, kind):
    """Each pixel column of the picture is that column of a frame, eight times; rows likewise."""
    target = tmp_path / "profile.png"
    count = draw_profile(*three[:2], target, Line(kind, 30), reference=three[2])
    assert count == 6
    sheet = png_of(target)
    for path in three:
        frames = frames_of(path)
        if kind == "column":
            expected = frames[:, :, 30].swapaxes(0, 1).repeat(8, 1)
            assert expected.shape == (64, 48, 3)
        else:
            expected = frames[:, 30].repeat(8, 0)
            assert expected.shape == (48, 96, 3)
        assert holds(sheet, expected)


def test_profile_of_some_frames(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", frames=9, draw=numbered, **LOSSLESS)
    target = tmp_path / "profile.png"
    line = Line("column", 3)
    assert draw_profile(clip, clip, target, line, start=0.12, frames=4) == 4
    expected = frames_of(clip)[3:7, :, 3].swapaxes(0, 1).repeat(8, 1)
    assert holds(png_of(target), expected)


def test_refusals(three, tmp_path, monkeypatch):
    target = tmp_path / "out.png"
    pair = three[:2]
    with pytest.raises(VideoError, match="no frame 6 to compare: the videos have 6 in common"):
        draw_stills(*pair, target, frames=[2, 6])
    with pytest.raises(VideoError, match="counted from 0, got -1"):
        draw_stills(*pair, target, frames=[-1])
    with pytest.raises(VideoError, match="no row 64: the frames have 64"):
        draw_profile(*pair, target, Line("row", 64))
    with pytest.raises(VideoError, match="no column 96: the frames have 96"):
        draw_profile(*pair, target, Line("column", 96))
    with pytest.raises(VideoError, match="1 to 8000 frames, not 9000"):
        draw_profile(*pair, target, Line("row", 0), frames=9000)
    with pytest.raises(VideoError, match="is one of the videos"):
        draw_stills(*pair, pair[1])
    with pytest.raises(VideoError, match="row=Y or column=X, such as row=120; got row=-1"):
        Line.parse("row=-1")
    assert Line.parse("column=7") == Line("column", 7)
    assert list(tmp_path.iterdir()) == []
