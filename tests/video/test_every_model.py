"""A whole file through every registered model."""

from fractions import Fraction

import numpy as np
import pytest

from support.media import read_frames, read_packets, write_clip
from support.memory import threads
from support.small_models import SMALL, randomised
from vqe_fast.models import spec_of
from vqe_fast.video import enhance_video
from vqe_fast.video.media.reader import VideoReader

PTS = [900, 940, 1020, 1030, 1300, 1321, 2000, 2040]


@pytest.mark.parametrize("name", SMALL)
def test_frames_times_and_sound_are_kept(tmp_path, name):
    """B-frames, a variable frame rate and sound; frames that wait for neighbours lose nothing."""
    source = write_clip(
        tmp_path / "in.mp4",
        pts=PTS,
        time_base=Fraction(1, 1000),
        size=(48, 32),
        options={"bf": "3", "b_strategy": "0"},
        audio=("aac",),
    )
    target = tmp_path / "out.mp4"
    model = randomised(name)
    with threads(1):
        report = enhance_video(source, target, model, codec="ffv1", precision="fp32")
    before, after = read_frames(source), read_frames(target)
    assert [time for time, _ in after] == [Fraction(pts, 1000) for pts in PTS]
    assert (report.frames_in, report.frames_out, report.duplicated) == (8, 8, 0)
    for old, new in zip(read_packets(source, "audio"), read_packets(target, "audio"), strict=True):
        assert [packet[2] for packet in new] == [packet[2] for packet in old]
    seen = 0 if name == "identity" else 1 if spec_of(model).planes == "y" else 3
    for (_, old), (_, new) in zip(before, after, strict=True):
        changed = [not np.array_equal(a, b) for a, b in zip(old, new, strict=True)]
        assert changed == [index < seen for index in range(3)]


@pytest.mark.parametrize("name", SMALL)
def test_fields_in_ten_bits(tmp_path, name):
    source = write_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        pixel_format="yuv420p10le",
        size=(48, 64),
        scan="tff",
        frames=3,
    )
    options = {"codec": "ffv1", "precision": "fp32", "interlaced": "fields"}
    with threads(1):
        report = enhance_video(source, tmp_path / "out.mkv", randomised(name), **options)
    assert (report.frames_out, report.pixel_format) == (3, "yuv420p10le")
    assert not report.qp_sources or report.qp_sources == {"estimate": 3}
    with VideoReader(tmp_path / "out.mkv", threads=1) as opened:
        assert opened.facts.scan == "top first"
