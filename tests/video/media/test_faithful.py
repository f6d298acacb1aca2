"""Kinds of files that people have: all that is not luma comes back as it was."""

from fractions import Fraction

import av
import numpy as np
import pytest

from support.footage import packaged_clip
from support.media import add_extras, read_frames, read_packets, write_clip
from vqe_fast.video import enhance_video
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.stream_info import VideoFacts

X265 = {"x265-params": "log-level=none:bframes=3"}
VARIABLE = {"pts": [900, 940, 1020, 1030, 1300, 1301, 2000, 2040], "time_base": Fraction(1, 1000)}


def rotated(_, video):
    video.set_display_rotation(-90)


def wide_pixels(_, video):
    video.codec_context.sample_aspect_ratio = Fraction(16, 11)


def bt2020(_, video):
    context = video.codec_context
    context.color_primaries, context.color_trc, context.colorspace = 9, 18, 9
    context.color_range = 1


KINDS = {
    "b-frames.mp4": {"audio": ("aac",), "frames": 30, "options": {"bf": "3", "b-pyramid": "2"}},
    "hevc10.mp4": {
        "codec": "libx265",
        "pixel_format": "yuv420p10le",
        "size": (96, 80),
        "audio": ("aac",),
        "options": X265,
        "prepare": bt2020,
    },
    "opus.webm": {"codec": "libvpx-vp9", "audio": ("libopus",), "frames": 20},
    "av1.webm": {"codec": "libsvtav1", "size": (64, 64), "audio": ("libopus",)},
    "422.mov": {"pixel_format": "yuv422p10le", "audio": ("pcm_s16le",)},
    "444.mp4": {"pixel_format": "yuv444p", "size": (351, 287), "audio": ("aac",), "frames": 5},
    "odd.mkv": {"codec": "ffv1", "size": (351, 287), "audio": ("flac",), "frames": 5},
    "vfr.mp4": VARIABLE,
    "vfr.mkv": VARIABLE | {"codec": "libx265", "size": (96, 80), "options": X265},
    "rotated.mp4": {"prepare": rotated, "audio": ("aac",)},
    "sar.mp4": {"prepare": wide_pixels},
    "sar.mkv": {"prepare": wide_pixels},
    "tracks.mkv": {"audio": ("aac", "pcm_s16le"), "prepare": add_extras},
}


@pytest.mark.parametrize("name", KINDS)
def test_comes_back_as_it_was(tmp_path, name):
    """Frames and their times, other streams' packets, tags: same codec and container, lossless."""
    source = write_clip(tmp_path / name, **KINDS[name])
    target = tmp_path / f"out{source.suffix}"
    crf = None if KINDS[name].get("codec") == "ffv1" else 0
    report = enhance_video(source, target, "identity", codec="source", crf=crf)
    assert_same_video(target, source)
    assert_same_file(target, source)
    assert report.frames_out == len(read_frames(source))
    assert not report.is_damaged and not report.not_kept


def test_a_real_file_comes_back_as_it_was(tmp_path):
    source, target = packaged_clip("bikes.mp4"), tmp_path / "out.mp4"
    enhance_video(source, target, "identity", codec="source", crf=0, preset="ultrafast")
    assert_same_video(target, source)
    assert_same_file(target, source)


def assert_same_video(target, source):
    frames, originals = read_frames(target), read_frames(source)
    assert [time for time, _ in frames] == [time for time, _ in originals]
    for (_, planes), (_, expected) in zip(frames, originals, strict=True):
        for plane, original in zip(planes, expected, strict=True):
            np.testing.assert_array_equal(plane, original)
    facts, expected = (facts_of(path) for path in (target, source))
    assert facts == expected


def facts_of(path):
    """All but what FFmpeg estimates, and a pixel aspect of one, which need not be said."""
    with VideoReader(path, threads=1) as source:
        facts: VideoFacts = source.facts
    known = {name: getattr(facts, name) for name in facts.__dataclass_fields__}
    known["sample_aspect_ratio"] = facts.sample_aspect_ratio or 1
    return {k: v for k, v in known.items() if k not in ("frame_count", "frame_rate", "time_base")}


def assert_same_file(target, source):
    for kind in ("audio", "subtitle"):
        assert read_packets(target, kind) == read_packets(source, kind)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert described(after) == described(before)
        assert after.chapters() == before.chapters()
        for new, old in zip(after.streams.attachments, before.streams.attachments, strict=True):
            assert (new.data, new.mimetype) == (old.data, old.mimetype)


def described(container):
    """Tags of the file and of its streams, without those that muxers and encoders write."""
    written = {"encoder", "ENCODER", "DURATION", "vendor_id", "compatible_brands", "minor_version"}
    written |= {"major_brand", "handler_name", "ENHANCED_BY"}
    return [
        {k: v for k, v in container.metadata.items() if k not in written},
        *(
            (s.type, s.disposition, {k: v for k, v in s.metadata.items() if k not in written})
            for s in container.streams
        ),
    ]
