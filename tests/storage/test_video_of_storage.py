"""Remote videos: read and written as local ones are, and little fetched of them."""

from fractions import Fraction

import av
import pytest

from support.media import write_clip
from vqe_fast.storage.block_cache import bytes_fetched
from vqe_fast.storage.location import location
from vqe_fast.video import read_qp
from vqe_fast.video.media.open import open_video, read_packets
from vqe_fast.video.media.payload import leave_out_payload, opened_for_payload
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.segments.split import plan_segments


def put(path, root, name=None):
    remote = location(f"{root}/{name or path.name}")
    remote.write_bytes(path.read_bytes())
    return remote


def packets_of(source, prepare=lambda file, container: None):
    file = opened_for_payload(source)
    with open_video(file) as container:
        prepare(file, container)
        return [
            (p.stream.index, p.pts, p.dts, p.size, p.is_keyframe, p.is_discard, bytes(p))
            for p in read_packets(container, file)
            if p.size
        ]


def frames_of(path):
    with VideoReader(path, threads=1) as video:
        return [
            (item.pts, item.to_ndarray().tobytes())
            for item in video.items()
            if isinstance(item, av.VideoFrame)
        ]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("avi", "mpeg4"), ("mov", "mpeg4")],
)
def test_same_packets_and_frames_as_of_a_local_file(suffix, codec, tmp_path, memory):
    path = write_clip(tmp_path / f"clip.{suffix}", codec=codec, frames=40, audio=("aac",))
    remote = put(path, memory)
    assert packets_of(remote) == packets_of(path)
    assert frames_of(remote) == frames_of(path)
    ours, theirs = read_qp(str(remote)), read_qp(path)
    assert [(f.pts, f.qp, f.type) for f in ours] == [(f.pts, f.qp, f.type) for f in theirs]
    for source in (remote, path):
        with VideoReader(source, threads=1) as video:
            assert video.seek(video.first_frame.pts)


@pytest.mark.parametrize(
    "codec", ["libx264", "libx265", "mpeg4", "mpeg2video", "libsvtav1", "libvpx-vp9", "mjpeg"]
)
def test_packets_are_the_same_without_their_payload(codec, tmp_path, memory):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_clip(
        tmp_path / "clip.mp4",
        codec=codec,
        pixel_format=pixels,
        frames=60,
        time_base=Fraction(1, 25),
        audio=("aac", "libmp3lame"),
    )
    remote = put(path, memory)
    whole = packets_of(path)
    for kinds in (("video",), ("video", "audio")):

        def without(file, container, kinds=kinds):
            leave_out_payload(file, container, [s for s in container.streams if s.type in kinds])

        found = packets_of(remote, without)
        assert [each[:-1] for each in found] == [each[:-1] for each in whole]
        if kinds == ("video",):
            assert [p for p in found if p[0]] == [p for p in whole if p[0]]


def long_clip(path):
    """Of the usual kind, but for its size: 40 s, a keyframe each second, sound."""
    return write_clip(
        path,
        frames=1000,
        size=(96, 64),
        audio=("aac",),
        options={"g": "25", "qp": "10", "preset": "ultrafast"},
    )


def test_few_bytes_are_fetched(tmp_path, s3, monkeypatch):
    path = long_clip(tmp_path / "clip.mp4")
    size = path.stat().st_size
    remote = put(path, s3)
    plan = plan_segments(location(str(remote)), 10)
    planned = bytes_fetched(str(remote))
    assert plan == plan_segments(path, 10)
    print(size, planned / size)
    with VideoReader(remote, threads=1, without_payload_of_video=True) as video:
        sound = [bytes(p) for p in video.packets() if p.stream.type == "audio"]
    print((bytes_fetched(str(remote)) - planned) / size)
    with VideoReader(path, threads=1) as video:
        assert sound == [bytes(p) for p in video.packets() if p.stream.type == "audio"]
