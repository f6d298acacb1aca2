"""Cutting frames and packets at the same time, whichever of them the file has first."""

from fractions import Fraction

import pytest
from av.video.frame import VideoFrame

from support.media import write_clip
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.trim import first_frames


@pytest.mark.parametrize("order", ["interleaved", "packets first", "frames first"])
def test_all_streams_end_at_the_cut(tmp_path, order):
    path = write_clip(tmp_path / "in.mkv", frames=50, audio=("aac", "pcm_s16le"))
    with VideoReader(path, threads=1) as source:
        items = list(source.items())
        if order != "interleaved":
            items.sort(key=lambda item: isinstance(item, VideoFrame) == (order == "packets first"))
        kept = list(first_frames(items, 10, [1, 2]))
        cut = Fraction(10, 25)
        frames = [item for item in items if isinstance(item, VideoFrame)]
        packets = [item for item in items if not isinstance(item, VideoFrame)]
        expected = [packet for packet in packets if packet.pts * packet.time_base < cut]
        assert [item for item in kept if isinstance(item, VideoFrame)] == frames[:10]
        assert [item for item in kept if not isinstance(item, VideoFrame)] == expected
        assert len(expected) > 30


def test_the_file_is_not_read_to_its_end(tmp_path):
    """A preview of a two-hour film must not take as long as reading the film."""
    path = write_clip(tmp_path / "in.mkv", frames=50, audio=("aac",))
    assert 10 < _frames_read(path, 10, [1]) < 20


def test_a_stream_that_ended_early_is_not_waited_for(tmp_path):
    """Its packets never reach the cut."""
    path = write_clip(tmp_path / "in.mkv", frames=50, rate=1)
    assert 10 < _frames_read(path, 10, [1]) < 25


def _frames_read(path, count, audio):
    with VideoReader(path, threads=1) as source:
        read = []
        items = (read.append(item) or item for item in source.items())
        list(first_frames(items, count, audio))
        return sum(isinstance(item, VideoFrame) for item in read)
