"""Files cut without encoding: an edit list hides packets that are there for the decoder only."""

from fractions import Fraction

import av
import pytest

from support.media import read_frames, read_packets, write_clip
from vqe_fast.video import VideoError, enhance_video, iterate_qp
from vqe_fast.video.media.reader import VideoReader

HIDDEN = 17
"""Frames before the cut: 0.68 seconds, in which no packet of sound begins where the cut is."""


def trimmed(path, **options):
    """A clip of 40 frames, and as many packets before it as ``HIDDEN`` frames take."""

    def mark(container, _):
        container.set_chapters(
            [
                {
                    "id": i,
                    "start": 800 * i,
                    "end": 800 * (i + 1),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": f"part {i}"},
                }
                for i in range(2)
            ]
        )

    return write_clip(
        path,
        pts=[512 * i for i in range(-HIDDEN, 40)],
        audio=("aac",),
        sound_from=Fraction(-HIDDEN, 25),
        prepare=mark,
        options={"bf": "2", "g": "100"} | options.pop("options", {}),
        **options,
    )


@pytest.mark.parametrize("segments", [{}, {"segment_seconds": 0.7}], ids=["one pass", "segments"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_what_is_cut_stays_cut(tmp_path, suffix, segments):
    """And all the rest is where it was: pictures, sound and chapters."""
    source, target = trimmed(tmp_path / "in.mp4"), tmp_path / f"out{suffix}"
    enhance_video(source, target, "identity", codec="ffv1", **segments)
    assert [time for time, _ in read_frames(source)] == [i * Fraction(1, 25) for i in range(40)]
    assert [time for time, _ in read_frames(target)] == [time for time, _ in read_frames(source)]
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert seconds_of(after.chapters()) == seconds_of(before.chapters()) != []
    (sound,), (original,) = read_packets(target, "audio"), read_packets(source, "audio")
    times = {data: time for time, _, data in original}
    assert len(times) == len(original)  # no two packets are the same
    lags = [abs(time - times[data]) for time, _, data in sound]
    assert max(lags) < Fraction(1, 1000)
    half = Fraction(512, 48000)
    assert {data for _, _, data in sound} >= {data for data, time in times.items() if time > -half}
    if suffix == ".mkv":
        assert {data for _, _, data in sound} == {d for d, time in times.items() if time > -half}


def seconds_of(chapters):
    return [
        (float(each["start"] * each["time_base"]), float(each["end"] * each["time_base"]))
        for each in chapters
    ]


def test_other_pictures_need_an_edit_list(tmp_path):
    """Those of a second stream are copied, and cannot be decoded without the hidden ones."""
    clip, source = trimmed(tmp_path / "clip.mp4"), tmp_path / "in.mp4"
    with av.open(str(clip)) as original, av.open(str(source), "w") as both:
        stream = original.streams.video[0]
        copies = [both.add_stream_from_template(stream) for _ in range(2)]
        for packet in original.demux(stream):
            for copy in copies if packet.size else ():
                packet.stream = copy
                both.mux(packet)
    with pytest.raises(VideoError, match=r"\.mkv cannot carry stream 1 .*write to \.mp4 or \.mov"):
        enhance_video(source, tmp_path / "out.mkv", "identity")
    enhance_video(source, tmp_path / "out.mp4", "identity")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=1)) == 40


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_qps_of_frames_that_are_shown(tmp_path, codec):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    source = trimmed(tmp_path / "in.mp4", codec=codec, options=options)
    with VideoReader(source, threads=1) as video:
        frames = [item.pts for item in video.items() if isinstance(item, av.VideoFrame)]
    assert [frame.pts for frame in iterate_qp(source)] == frames
