"""Reading a file by itself."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from av.video.frame import VideoFrame

from support.media import add_extras, damage_packet, read_frames, write_clip
from vqe_fast.video.frames.planes import luma_view
from vqe_fast.video.media.reader import VideoReader


def test_facts(tmp_path):
    path = write_clip(tmp_path / "in.mp4", size=(70, 50), frames=9, rate=50)
    with VideoReader(path, threads=1) as source:
        facts = source.facts
    assert (facts.width, facts.height, facts.pixel_format) == (70, 50, "yuv420p")
    assert (facts.frame_rate, facts.time_base, facts.frame_count) == (
        50,
        Fraction(1, 12800),
        9,
    )
    assert facts.display_matrix is None


def test_frame_count_is_estimated_where_the_header_has_none(tmp_path):
    """Matroska states a duration only: without an estimate there is no time left to show."""
    path = write_clip(tmp_path / "in.mkv", frames=50)
    with VideoReader(path, threads=1) as source:
        assert source.facts.frame_count == 50


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_changing_a_frame_does_not_change_later_ones(tmp_path, codec):
    """Frames that the decoder predicts from share their memory with it."""
    path = write_clip(tmp_path / "in.mkv", codec=codec, frames=20, options={"bf": "0"})
    with VideoReader(path, threads=1) as source:
        lumas = []
        for frame in source.items():
            lumas.append(luma_view(frame).copy())
            luma_view(frame)[:] = 255
    for luma, (_, planes) in zip(lumas, read_frames(path), strict=True):
        np.testing.assert_array_equal(luma, planes[0])


def test_packets_and_frames_come_in_the_order_of_the_file(tmp_path):
    """Packets of other streams collected until the end would fill the memory."""
    path = write_clip(
        tmp_path / "in.mkv", frames=50, audio=("aac", "pcm_s16le"), prepare=add_extras
    )
    with VideoReader(path, threads=1) as source:
        items = list(source.items())
    frames = [i for i, item in enumerate(items) if isinstance(item, VideoFrame)]
    assert len(frames) == 50
    assert max(later - earlier for earlier, later in pairwise(frames)) < 12


def test_several_threads_lose_no_frame_of_a_damaged_file(tmp_path):
    """PyAV gives up on a decoder that it is emptying at the first error in it."""
    path = write_clip(tmp_path / "in.mkv", frames=12, options={"bf": "0", "g": "1"})
    for index in (3, 9):
        damage_packet(path, index)
    counts = []
    for threads in (1, 4):
        with VideoReader(path, threads=threads) as source:
            counts.append(sum(isinstance(item, VideoFrame) for item in source.items()))
    assert counts[0] == counts[1] > 8
