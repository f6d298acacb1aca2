"""Videos enhanced in segments: what one pass gives, from any source and for every model."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from support.frames import two_scenes
from support.media import add_extras, damage_packet, read_frames, texture, write_clip
from support.modules import LUMA_SPEC, Blend, Pointwise, Recurrent, RunsOut, StreamedBlend
from support.small_models import randomised
from support.streams import assert_same_frames, contents, decoding_times
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.inference.recurrent import OVERLAP
from vqe_fast.video.segments import segment_reader
from vqe_fast.video.segments.split import Segment, plan_segments

SECOND = 25  # frames
FRAMES = 112  # four segments and a half of a second


def both_ways(source, tmp_path, model="identity", seconds=1.0, suffix=".mkv", **options):
    """The file of one pass and the joined one, and the two reports."""
    options = {"precision": "fp32", "codec": "ffv1", **options}
    whole, joined = tmp_path / f"whole{suffix}", tmp_path / f"joined{suffix}"
    passes = enhance_video(source, whole, model, **options)
    segments = enhance_video(source, joined, model, segment_seconds=seconds, **options)
    assert not (tmp_path / f"joined{suffix}.parts").exists()
    assert (passes.segments, segments.resumed) == (None, 0)
    assert segments.segments > 1
    for name in ("frames_in", "frames_out", "duplicated", "scene_cuts", "qp_sources", "not_kept"):
        assert getattr(passes, name) == getattr(segments, name), name
    assert passes.is_damaged == segments.is_damaged
    return whole, joined, passes, segments


def assert_equal_both_ways(source, tmp_path, model="identity", **options):
    whole, joined, _, report = both_ways(source, tmp_path, model, **options)
    assert_same_frames(whole, joined)
    assert contents(whole) == contents(joined)
    return report


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """H.264 with B-frames and open groups of pictures, no two frames alike."""
    options = {"g": "30", "bf": "3", "x264-params": "open-gop=1:b-adapt=0", "qp": "30"}
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    return write_clip(path, frames=FRAMES, options=options, audio=("aac",))


OPEN_HEVC = {"x265-params": "log-level=none:open-gop=1:keyint=30:min-keyint=30:bframes=3"}
SOURCES = {
    "h264 mp4": ("in.mp4", {"options": {"g": "30", "bf": "3", "x264-params": "open-gop=1"}}),
    "h264 ts": ("in.ts", {"options": {"g": "30", "bf": "3", "x264-params": "open-gop=1"}}),
    "h264 refreshed bit by bit": (
        "in.mkv",
        {"options": {"g": "30", "x264-params": "intra-refresh=1"}},
    ),
    "h264 with one keyframe": ("in.mp4", {"options": {"g": "1000", "sc_threshold": "0"}}),
    "hevc": ("in.mp4", {"codec": "libx265", "options": OPEN_HEVC}),
    "hevc ts": ("in.ts", {"codec": "libx265", "options": OPEN_HEVC}),
    "vp9": ("in.webm", {"codec": "libvpx-vp9", "options": {"g": "30", "cpu-used": "8"}}),
    "av1": ("in.mkv", {"codec": "libsvtav1", "options": {"g": "30", "preset": "12"}}),
    "mpeg2": (
        "in.ts",
        {"codec": "mpeg2video", "options": {"g": "20", "bf": "2"}, "time_base": Fraction(1, 25)},
    ),
    "ffv1": ("in.mkv", {"codec": "ffv1", "options": {"g": "1"}}),
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(tmp_path, source):
    name, options = SOURCES[source]
    path = write_clip(tmp_path / name, frames=FRAMES, audio=("libopus",), **options)
    report = assert_equal_both_ways(path, tmp_path, Blend(1.0, 2.0, 1.0))
    assert (report.segments, report.frames_out) == (4, FRAMES)


def qp_listener():
    spec = replace(LUMA_SPEC, takes_qp=True)

    class Listens(Pointwise):
        def forward(self, luma, qp):
            qp = torch.as_tensor(qp, dtype=torch.float32).view(-1, 1, 1, 1)
            return luma / 2 + qp / 255

    return Listens(spec=spec)


@pytest.mark.parametrize(
    "model",
    [
        Pointwise(lambda luma: 1 - luma),
        Blend(1.0, 2.0, 1.0),
        Blend(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0),
        StreamedBlend(3.0, 2.0, 1.0),
        qp_listener(),
        randomised("carcnn_small"),
    ],
    ids=["single", "three frames", "seven frames", "streamed", "qp", "carcnn_small"],
)
def test_models(clip, tmp_path, model):
    assert_equal_both_ways(clip, tmp_path, model)


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", "ts"),
        ("libx265", "mkv"),
        ("libx265", "ts"),
        ("libsvtav1", "mkv"),
        ("libvpx-vp9", "mkv"),
    ],
)
def test_qps_of_each_codec(tmp_path, codec, suffix):
    """Their headers are read from where a segment begins."""
    options = OPEN_HEVC if codec == "libx265" else {"g": "30"}
    source = write_clip(tmp_path / f"in.{suffix}", codec=codec, frames=FRAMES, options=options)
    report = assert_equal_both_ways(source, tmp_path, qp_listener())
    assert report.qp_sources == {"stream": FRAMES}


def test_colours(clip, tmp_path):
    spec = replace(LUMA_SPEC, planes="rgb")
    assert_equal_both_ways(clip, tmp_path, Pointwise(lambda rgb: rgb.flip(1), spec=spec))


def test_fields(tmp_path):
    source = write_clip(
        tmp_path / "in.mkv", frames=80, scan="tff", size=(64, 64), options={"flags": "+ilme+ildct"}
    )
    assert_equal_both_ways(source, tmp_path, Blend(1.0, 2.0, 1.0), interlaced="fields")


def test_ten_bits_converted(clip, tmp_path):
    assert_equal_both_ways(clip, tmp_path, Blend(1.0, 2.0, 1.0), pix_fmt="yuv444p10le")


BLUR_SPEC = replace(LUMA_SPEC, receptive_field=3)


def blurred(frames):
    """Sums over an odd number: none lies halfway between two steps, to be rounded either way."""
    return avg_pool2d(frames, 3, 1, 1)


class BlurredBlend(StreamedBlend):
    def forward(self, frames):
        return blurred(super().forward(frames))


BLURS = {
    "single": Pointwise(blurred, spec=BLUR_SPEC),
    "streamed": BlurredBlend(2.0, 2.0, 1.0, spec=BLUR_SPEC),
    "five frames": BlurredBlend(5.0, 4.0, 3.0, 2.0, 1.0, spec=BLUR_SPEC),
}


@pytest.mark.parametrize("model", BLURS.values(), ids=BLURS)
def test_tiles(clip, tmp_path, model):
    """Of one pass, of segments and whole frames: the same bits."""
    report = assert_equal_both_ways(clip, tmp_path, model, tile=32)
    assert (report.tile, report.tiles_exact, report.segments) == (32, True, 4)
    untiled = tmp_path / "untiled.mkv"
    enhance_video(clip, untiled, model, codec="ffv1", precision="fp32")
    assert_same_frames(untiled, tmp_path / "joined.mkv")


def test_memory_runs_out_within_a_segment(clip, tmp_path):
    """The frame is enhanced again in tiles, and so are those of the segments that follow."""
    whole, joined = tmp_path / "whole.mkv", tmp_path / "joined.mkv"
    options = {"codec": "ffv1", "precision": "fp32"}
    enhance_video(clip, whole, BLURS["single"], **options)
    model = RunsOut(BLURS["single"], 40)
    report = enhance_video(clip, joined, model, segment_seconds=1, **options)
    assert (report.tile, report.frames_out, report.segments) == (32, FRAMES, 4)
    assert_same_frames(whole, joined)


def lasting(*lengths):
    """Draws pictures that last so many frames each, over and over."""
    starts = np.repeat(np.cumsum((0, *lengths[:-1])), lengths)

    def draw(frame):
        ticks, number = frame.pts, round(frame.pts * frame.time_base * 25)
        first = number // len(starts) * len(starts) + starts[number % len(starts)]
        frame.pts = int(first / 25 / frame.time_base)
        texture(frame)
        frame.pts = ticks

    return draw


@pytest.mark.parametrize(
    "lengths", [(2,), (3, 1), (7, 1, 1), (6,), (60, 1, 1), (22, 8, 1, 2)], ids=str
)
@pytest.mark.parametrize("radius", [0, 1, 3])
@pytest.mark.parametrize("group", [1, 9])
def test_repeats_across_boundaries(tmp_path, lengths, radius, group):
    """Repeats are no neighbours, five of them end the neighbourhood, and all get one result."""
    source = write_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        frames=82,
        options={"g": str(group)},
        draw=lasting(*lengths),
        size=(32, 32),
    )
    model = Blend(*(float(weight) for weight in range(1, 2 * radius + 2)))
    if radius == 0:
        model = Pointwise(lambda luma: 1 - luma)
    report = assert_equal_both_ways(source, tmp_path, model)
    assert report.duplicated > 0


@pytest.mark.parametrize("cut", [23, 24, 25, 26, 27])
@pytest.mark.parametrize("radius", [1, 3])
def test_scene_cut_at_a_boundary(tmp_path, cut, radius):
    source = write_clip(
        tmp_path / "in.mkv",
        frames=60,
        draw=two_scenes(cut),
        options={"qp": "0", "g": "20"},
        pixel_format="yuv420p",
    )
    model = Blend(*(float(weight) for weight in range(1, 2 * radius + 2)))
    report = assert_equal_both_ways(source, tmp_path, model)
    assert report.scene_cuts == 1


def test_recurrent(clip, tmp_path):
    """A boundary is one more seam between clips, each beyond an overlap."""
    model = Recurrent()
    options = {"clip_frames": 20}
    whole, joined, _, report = both_ways(clip, tmp_path, model, **options)
    assert report.clip_frames == 20
    worst = 0
    for (time, planes), (same, others) in zip(read_frames(whole), read_frames(joined), strict=True):
        assert time == same and (planes[1] == others[1]).all()
        worst = max(worst, np.abs(planes[0].astype(int) - others[0]).max())
    assert worst <= 255 * 0.5**OVERLAP
    assert contents(whole) == contents(joined)


TARGETS = [
    (".mp4", "libx264"),
    (".mov", "libx264"),
    (".mkv", "libx265"),
    (".mp4", "libx265"),
    (".webm", "libvpx-vp9"),
    (".webm", "libsvtav1"),
    (".mp4", "libsvtav1"),
]


@pytest.mark.parametrize(("suffix", "codec"), TARGETS)
@pytest.mark.parametrize("rate", ["constant", "variable"])
def test_targets(tmp_path, suffix, codec, rate):
    """Timestamps, also those of decoding, and other streams are what one pass writes."""
    rng = np.random.default_rng(0)
    steps = np.full(FRAMES, 40) if rate == "constant" else rng.integers(5, 120, FRAMES)
    source = write_clip(
        tmp_path / "in.mkv",
        pts=[int(ticks) for ticks in 700 + np.cumsum(steps)],
        time_base=Fraction(1, 1000),
        audio=("libopus",) if suffix == ".webm" else ("aac",),
        options={"g": "30"},
    )
    whole, joined, *_ = both_ways(source, tmp_path, codec=codec, suffix=suffix)
    assert contents(whole) == contents(joined)
    assert decoding_times(whole) == decoding_times(joined)


def test_everything_beside_the_video(tmp_path):
    source = write_clip(
        tmp_path / "in.mkv", frames=FRAMES, audio=("aac", "flac"), prepare=add_extras
    )
    assert_equal_both_ways(source, tmp_path)


def test_a_stream_that_starts_in_the_middle_of_a_group(tmp_path):
    """As a recording does: what cannot be decoded before the first keyframe is no frame."""
    source = write_clip(tmp_path / "in.ts", frames=FRAMES, options={"g": "40", "bf": "2"})
    data = source.read_bytes()
    source.write_bytes(data[188 * 30 :])
    assert_equal_both_ways(source, tmp_path, Blend(1.0, 2.0, 1.0))


@pytest.mark.parametrize("victim", [10, 60, 111])
def test_damage_counts_once(tmp_path, victim):
    """Frames decoded for two segments count for the one that they belong to."""
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=FRAMES, options={"g": "1"})
    damage_packet(source, victim)
    _, _, passes, segments = both_ways(source, tmp_path, Blend(1.0, 2.0, 1.0))
    assert (segments.damaged_packets, segments.frames_damaged) == (1, 0)
    assert passes.damaged_packets == 1 and segments.frames_out == FRAMES - 1


def test_a_segment_of_which_nothing_decodes(tmp_path):
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=80, options={"g": "1"})
    for number in range(20, 55):
        damage_packet(source, number)
    assert_equal_both_ways(source, tmp_path, Blend(1.0, 2.0, 1.0))


def test_the_size_changes_at_a_boundary(tmp_path):
    parts = [
        write_clip(tmp_path / f"{size}.ts", size=(size, 48), frames=50, options={"g": "25"})
        for size in (64, 96)
    ]
    source = tmp_path / "in.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(VideoError, match=r"changes from 64x48|cannot be cut into segments"):
        enhance_video(source, tmp_path / "out.mkv", "identity", segment_seconds=1)
    assert not (tmp_path / "out.mkv").exists()


def test_no_timestamps(tmp_path):
    source = write_clip(tmp_path / "in.h264", frames=60)
    with pytest.raises(VideoError, match=r"in\.h264 cannot be cut into segments: .*one pass"):
        enhance_video(source, tmp_path / "out.mkv", "identity", segment_seconds=1)
    assert sorted(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_length_out_of_range(clip, tmp_path, seconds):
    with pytest.raises(VideoError, match="longer than 0 seconds"):
        enhance_video(clip, tmp_path / "out.mkv", "identity", segment_seconds=seconds)
    assert not list(tmp_path.iterdir())


def test_frames_are_for_one_pass(clip, tmp_path):
    with pytest.raises(VideoError, match="leave out segments"):
        enhance_video(clip, tmp_path / "out.mkv", "identity", segment_seconds=1, frames=5)


def test_a_keyframe_that_decodes_to_something_else(clip, tmp_path, monkeypatch):
    """A join that shows another picture at a boundary than one pass would be found out."""
    seam, calls = segment_reader._seam, []

    def other(step):
        calls.append(step)
        pts, checksum = seam(step)
        return pts, checksum ^ (len(calls) == 3)

    monkeypatch.setattr(segment_reader, "_seam", other)
    with pytest.raises(VideoError, match=r"cannot be cut at 1\.\d\d s"):
        enhance_video(clip, tmp_path / "out.mkv", "identity", segment_seconds=1)


class TestPlan:
    def test_lengths(self, clip):
        plan = plan_segments(clip, 1.0)
        assert [segment.frames for segment in plan] == [25, 25, 25, 37]
        assert plan[0].start is None and plan[-1].end is None
        assert [segment.end for segment in plan[:-1]] == [segment.start for segment in plan[1:]]

    def test_few_frames_join_their_neighbours(self, tmp_path):
        """One frame a second makes no segments of a second."""
        source = write_clip(
            tmp_path / "in.mkv", pts=list(range(0, 40000, 1000)), time_base=Fraction(1, 1000)
        )
        assert [segment.frames for segment in plan_segments(source, 1.0)] == [16, 24]

    def test_a_video_shorter_than_a_segment(self, clip):
        assert plan_segments(clip, 30.0) == [Segment(None, None, FRAMES)]
