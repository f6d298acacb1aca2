"""Timestamps that restart in the middle of a file."""

import io
from fractions import Fraction
from itertools import pairwise

import av
import pytest

from support.media import read_packets, write_clip
from vqe_fast.video import VideoError, enhance_video, iterate_qp
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.timeline import Timeline


def recording(path, start, *, codec="libx264", audio=("mp2",), muxer="mpegts", frames=30):
    """A clip whose timestamps begin at ``start`` frames."""
    return write_clip(
        path,
        codec=codec,
        pts=range(start, start + frames),
        time_base=Fraction(1, 25),
        audio=audio,
        sound_from=start / Fraction(25),
        options={"g": "10"},
        muxer=muxer,
    )


def joined(tmp_path, *starts, **options):
    """A file of recordings, one behind the other byte for byte."""
    parts = [
        recording(tmp_path / f"part{i}", start, **options).read_bytes()
        for i, start in enumerate(starts)
    ]
    path = tmp_path / "in.ts"
    path.write_bytes(b"".join(parts))
    return path


def times_of(path, kind):
    (packets,) = read_packets(path, kind)
    return sorted(start for start, *_ in packets)


def lag_of_sound(path, number):
    """Seconds from the first picture to a packet of sound."""
    return float(times_of(path, "audio")[number] - times_of(path, "video")[0])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(
    ("starts", "options"),
    [
        ((0, 0), {}),
        ((100, 0, 0), {}),
        ((0, 1000), {}),
        ((0, 0), {"codec": "mpeg2video", "muxer": "vob"}),
        ((0, 0), {"audio": ()}),
    ],
    ids=["restarts", "restarts twice", "jumps", "program stream", "no sound"],
)
def test_recordings_follow_each_other(tmp_path, suffix, starts, options):
    """Each takes its own time, and its sound stays in step with its pictures."""
    source, target = joined(tmp_path, *starts, **options), tmp_path / f"out{suffix}"
    report = enhance_video(source, target, "identity")
    assert report.time_restarts == len(starts) - 1
    assert report.frames_out == 30 * len(starts)
    steps = [float(after - before) for before, after in pairwise(times_of(target, "video"))]
    assert all(0.035 < step < 0.045 for step in steps[:29])
    assert all(0.015 < step < 0.095 for step in steps)  # at a seam, where sound is longer
    assert sum(steps) == pytest.approx(0.04 * len(steps), abs=0.06 * (len(starts) - 1))
    if options.get("audio") != ():
        sound, pictures = times_of(target, "audio"), times_of(target, "video")
        alone = lag_of_sound(tmp_path / "part0", 5)
        per_recording = len(sound) // len(starts)
        for number in range(len(starts)):
            lag = float(sound[per_recording * number + 5] - pictures[30 * number])
            assert lag == pytest.approx(alone, abs=0.03)


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"), [(".mkv", "libx264", "aac"), (".webm", "libvpx-vp9", "libopus")]
)
def test_other_files_joined_byte_for_byte(tmp_path, suffix, codec, sound):
    """As pages do with the pieces of a recorder; a pause is none of these."""
    options = {"codec": codec, "audio": (sound,), "frames": 30}
    part = write_clip(tmp_path / f"part{suffix}", **options)
    source = tmp_path / f"in{suffix}"
    source.write_bytes(part.read_bytes() * 2)
    report = enhance_video(source, tmp_path / "out.mkv", "identity")
    assert (report.frames_out, report.time_restarts) == (60, 1)
    times = times_of(tmp_path / "out.mkv", "video")
    assert all(0.039 < after - before < 0.07 for before, after in pairwise(times))
    assert times_of(tmp_path / "out.mkv", "audio")[-1] - times[-1] < 0.08
    slides = write_clip(tmp_path / f"slides{suffix}", codec=codec, pts=[0, 12800 * 20, 12800 * 21])
    assert enhance_video(slides, tmp_path / "slides.mp4", "identity").time_restarts == 0
    assert times_of(tmp_path / "slides.mp4", "video") == [0, 20, 21]


def test_qps_belong_to_their_frames(tmp_path):
    """They are read by a second reader, which has to come to the same times."""
    source = joined(tmp_path, 0, 0)
    with VideoReader(source, threads=1) as video:
        frames = [item.pts for item in video.items() if isinstance(item, av.VideoFrame)]
    assert [qp.pts for qp in iterate_qp(source)] == frames
    assert len(set(frames)) == 60


def test_the_end_of_the_counter(tmp_path):
    """Timestamps have 33 bits; after a day and two hours they begin anew."""
    wrap = (1 << 33) // 3600
    source = recording(tmp_path / "in.ts", wrap - 15)
    report = enhance_video(source, tmp_path / "out.mkv", "identity")
    times = times_of(tmp_path / "out.mkv", "video")
    assert report.time_restarts == 0
    assert [after - before for before, after in pairwise(times)] == [Fraction(1, 25)] * 29


def test_segments_are_refused(tmp_path):
    """A place in such a file is not found by its time."""
    source = joined(tmp_path, 0, 0)
    with pytest.raises(VideoError, match="timestamps restart; enhance it in one pass"):
        enhance_video(source, tmp_path / "out.mkv", "identity", segment_seconds=1)


def placed(*packets):
    """What a timeline makes of packets: kind and decoding time in twentieths of a second."""
    timeline, found = Timeline(jumps=True), []
    with av.open(io.BytesIO(), "w", format="matroska") as output:
        streams = {
            "video": output.add_stream("libx264", 25, width=64, height=48),
            "audio": output.add_stream("aac", 48000),
            "subtitle": output.add_mux_stream("subrip"),
        }
        for kind, time in packets:
            packet = av.Packet(b"data")
            packet.stream, packet.time_base = streams[kind], Fraction(1, 20)
            packet.pts = packet.dts = time
            packet.duration = 1
            timeline.place(packet)
            found.append(packet.dts)
    return found, timeline.restarts


@pytest.mark.parametrize(
    ("packets", "expected", "restarts"),
    [
        # The sound of the first recording comes behind the first picture of the second.
        (
            [("video", 50), ("audio", 50), ("video", 0), ("audio", 51), ("audio", 0), ("video", 1)],
            [50, 50, 51, 51, 51, 52],
            1,
        ),
        # One timestamp that is damaged moves nothing else.
        (
            [("video", 50), ("video", 20), ("video", 52), ("audio", 52), ("video", 53)],
            [50, 51, 52, 52, 53],
            1,
        ),
        # Pictures that pause while the sound goes on, and a loss of reception.
        (
            [("video", 0), *(("audio", 10 * i) for i in range(30)), ("video", 300)],
            [0, *(10 * i for i in range(30)), 300],
            0,
        ),
        ([("video", 0), ("audio", 0), ("video", 90), ("audio", 90)], [0, 0, 90, 90], 0),
        # Subtitles are where the others are.
        (
            [("video", 50), ("subtitle", 50), ("video", 0), ("subtitle", 3), ("video", 9)],
            [50, 50, 51, 54, 60],
            1,
        ),
    ],
    ids=["interleaved", "one damaged", "slow pictures", "a gap", "subtitles"],
)
def test_packets(packets, expected, restarts):
    assert placed(*packets) == (expected, restarts)
