"""Frames' times in containers that tell when packets are decoded, not when frames are shown."""

from fractions import Fraction
from itertools import pairwise

import av
import pytest

from support.media import damage_packet, read_frames, read_packets, write_clip
from vqe_fast.video import enhance_video
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.qp import iterate_qp

FRAME = Fraction(1, 25)
REORDERED = {"bf": "3", "b-adapt": "0", "b-pyramid": "strict", "g": "20"}


def frames_of(path):
    with VideoReader(path, threads=1) as video:
        base = video.facts.time_base
        return [item.pts * base for item in video.items() if isinstance(item, av.VideoFrame)]


@pytest.mark.parametrize("suffix", [".avi", ".mxf", ".asf", ".mkv", ".ts"])
def test_reordered_h264(tmp_path, suffix):
    """Evenly, in the order of the pictures, and the same to the reader of QPs."""
    source = write_clip(
        tmp_path / f"in{suffix}", frames=60, time_base=FRAME, pts=range(60), options=REORDERED
    )
    times = frames_of(source)
    assert [after - before for before, after in pairwise(times)] == [FRAME] * 59
    with VideoReader(source, threads=1) as video:
        base = video.facts.time_base
    assert [qp.pts * base for qp in iterate_qp(source)] == times


@pytest.mark.parametrize("suffix", [".avi", ".asf"])
@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
def test_reordered_mpeg(tmp_path, codec, suffix):
    """FFmpeg works out when these are shown, and has the second picture a frame late."""
    source = write_clip(
        tmp_path / f"in{suffix}",
        codec=codec,
        frames=30,
        time_base=FRAME,
        pts=range(30),
        options={"bf": "2", "g": "13"},
    )
    times = frames_of(source)
    assert [after - before for before, after in pairwise(times)] == [FRAME] * 29


def test_a_lost_frame_does_not_move_those_after_the_next_keyframe(tmp_path):
    source = write_clip(
        tmp_path / "in.avi", frames=60, time_base=FRAME, pts=range(60), options=REORDERED
    )
    whole = frames_of(source)
    damage_packet(source, 9)
    assert frames_of(source)[-20:] == whole[-20:]


def packed(path, clip):
    """Writes MPEG-4 with a B-picture after each P-picture as DivX did: both in one packet."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        parts = [bytes(packet) for packet in source.demux(video=0) if packet.size]
        parts[0] = b"\0\0\1\xb2DivX503b1393p" + parts[0]
        nothing = b"\0\0\1\xb6\x51\x80\x7f"
        packets = [parts[0]]
        for number in range(1, len(parts) - 1, 2):
            packets += [parts[number] + parts[number + 1], nothing]
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base = video, FRAME
            packet.pts = packet.dts = number
            packet.is_keyframe = number == 0
            target.mux(packet)
    return path


def test_two_pictures_in_a_packet(tmp_path):
    """FFmpeg's demuxer gives the next picture's time to the wrong one of them."""
    clip = write_clip(
        tmp_path / "clip.avi",
        codec="mpeg4",
        frames=21,
        time_base=FRAME,
        pts=range(21),
        options={"bf": "1", "b_strategy": "0", "g": "100"},
    )
    source = packed(tmp_path / "in.avi", clip)
    enhance_video(source, tmp_path / "out.mkv", "identity", codec="ffv1")
    times = [time for time, _ in read_frames(tmp_path / "out.mkv")]
    assert len(times) == 21
    assert times[0] == FRAME  # the delay of decoding, as in files that are not packed
    assert {after - before for before, after in pairwise(times)} == {FRAME}
    (packets,) = read_packets(source, "video")
    assert sum(len(data) == 7 for *_, data in packets) == 10
