"""FFV1 with chroma of a quarter: FFmpeg's own choice of slices leaves the last samples out."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from support.media import read_frames, write_clip
from vqe_fast.video import enhance_video
from vqe_fast.video.media.ffv1_slices import covering_slices
from vqe_fast.video.media.reader import VideoReader


@pytest.mark.parametrize("pixel_format", ["yuv411p", "yuv410p", "yuv420p", "yuv440p"])
def test_every_sample_is_kept(tmp_path, pixel_format):
    small = product(range(64, 80), (37, 38, 39, 40))
    for size in [*small, *((width, 290) for width in range(353, 361)), (719, 481)]:
        source = write_clip(
            tmp_path / "in.nut",
            codec="rawvideo",
            pixel_format=pixel_format,
            size=size,
            frames=1,
            draw=noise,
        )
        enhance_video(source, tmp_path / "out.mkv", "identity", codec="ffv1", overwrite=True)
        ((_, kept),), ((_, planes),) = read_frames(tmp_path / "out.mkv"), read_frames(source)
        for plane, original in zip(kept, planes, strict=True):
            np.testing.assert_array_equal(plane, original, err_msg=str(size))


def test_large_frames_are_still_cut_into_slices():
    """One slice would leave all but one core without work."""
    assert covering_slices(720, 480, "yuv411p") == 4
    assert covering_slices(718, 480, "yuv411p") > 4
    assert covering_slices(1919, 1079, "yuv420p") is None


def noise(frame):
    rng = np.random.default_rng(1)
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
        rows[:] = rng.integers(0, 256, rows.shape)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_tape_becomes_an_archive_file(tmp_path, suffix):
    """DV of NTSC: 4:1:1, fields, oblong pixels, chroma beside the first of four columns."""

    def prepare(_, video):
        video.codec_context.sample_aspect_ratio = Fraction(8, 9)

    source = write_clip(
        tmp_path / "tape.dv",
        codec="dvvideo",
        pixel_format="yuv411p",
        size=(720, 480),
        rate=Fraction(30000, 1001),
        time_base=Fraction(1001, 30000),
        frames=3,
        scan="bff",
        audio=("pcm_s16le",),
        layout="stereo",
        prepare=prepare,
    )
    target = tmp_path / f"out{suffix}"
    options = {"codec": "ffv1", "interlaced": "fields"}
    enhance_video(source, target, "identity", **options)
    with VideoReader(source, threads=1) as before, VideoReader(target, threads=1) as after:
        assert after.facts.sample_aspect_ratio == Fraction(8, 9)
        assert before.facts.frame_rate == Fraction(30000, 1001)
        for name in ("scan", "pixel_format", "color"):
            assert getattr(after.facts, name) == getattr(before.facts, name)
        assert before.facts.scan == "bottom first"
    for (_, kept), (_, planes) in zip(read_frames(target), read_frames(source), strict=True):
        for plane, original in zip(kept, planes, strict=True):
            np.testing.assert_array_equal(plane, original)
