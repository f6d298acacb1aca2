"""Rate factors for a size: the search, samples, and files no larger than was asked for."""

import math
from dataclasses import replace

import pytest

from support.media import texture, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.frames.planes import plane_view
from vqe_fast.video.media.encoders import ENCODERS
from vqe_fast.video.segments.rate_factor import search
from vqe_fast.video.segments.samples import count_bytes
from vqe_fast.video.segments.split import Segment, plan_segments

X264, AV1 = ENCODERS["libx264"], ENCODERS["libsvtav1"]


def sizes(encoder, slope, bend=0.0):
    """A size that halves every ``slope`` steps, and more or less so further on."""
    tried = []

    def size_at(crf):
        tried.append(crf)
        return 1e6 * 2 ** -(crf / slope + bend * crf**2)

    return size_at, tried


@pytest.mark.parametrize("encoder", [X264, AV1, ENCODERS["av1_nvenc"]])
@pytest.mark.parametrize(("slope", "bend"), [(6, 0), (4, 0), (10, 1e-3), (6, -5e-4)])
@pytest.mark.parametrize("wanted", [7e5, 1e5, 2e4])
def test_search(encoder, slope, bend, wanted):
    """The smallest factor whose size is no larger, or the one beside it, within eight tries."""
    size_at, tried = sizes(encoder, slope, bend)
    found = search(size_at, wanted, encoder)
    assert len(tried) == len(set(tried)) <= 8
    grid = [n * encoder.crf_step for n in range(math.ceil(1 / encoder.crf_step), 4 * 63)]
    fitting = [crf for crf in grid if crf <= encoder.max_crf and size_at(crf) <= wanted]
    assert found is None if not fitting else found - min(fitting) in (0, encoder.crf_step)


def test_a_size_out_of_reach():
    size_at, _ = sizes(X264, 6)
    assert search(size_at, 100.0, X264) is None
    assert search(size_at, -5.0, X264) is None
    assert search(size_at, 1e9, X264) == 1  # 0 would be lossless


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """40 seconds with a quiet half and a busy one, and sound."""

    def draw(frame):
        texture(frame)
        second = frame.pts * float(frame.time_base)
        if second > 20:
            luma = plane_view(frame, 0)
            luma[:] = (luma.astype(int) * (3 + int(second * 10) % 4) % 256).astype(luma.dtype)

    path = tmp_path_factory.mktemp("long") / "in.mp4"
    return write_clip(path, frames=400, rate=10, audio=("aac",), draw=draw)


def part_of(clip, share):
    """The size of a file whose sound is the clip's, and its video a share of the clip's."""
    found = count_bytes(clip, [Segment(None, None, 0)])
    return found.others + int(found.all_video * share)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("share", [0.4, 0.7])
def test_size_is_reached(long_clip, tmp_path, codec, share):
    """Samples of 16 seconds tell the size of 40, of which one half takes far more bytes."""
    wanted = part_of(long_clip, share)
    options = {"codec": codec, "target_size": wanted}
    report = enhance_video(long_clip, tmp_path / "out.mkv", "identity", **options)
    assert report.target_bytes == (tmp_path / "out.mkv").stat().st_size
    assert 0.85 * wanted < report.target_bytes < 1.1 * wanted
    assert report.crf % 0.25 == 0 and report.options["target_size"] == wanted
    assert list(tmp_path.iterdir()) == [tmp_path / "out.mkv"]


def test_a_short_video_is_known_whole(tmp_path):
    source = write_clip(tmp_path / "in.mp4", frames=60, size=(96, 80), options={"crf": "10"})
    report = enhance_video(source, tmp_path / "out.mp4", "identity", target_size="source")
    assert 0.93 * source.stat().st_size < report.target_bytes <= source.stat().st_size


def test_segments_keep_to_the_factor(tmp_path, long_clip):
    """Each part is encoded at that of the whole, which is written down for a run that goes on."""
    options = {"target_size": part_of(long_clip, 0.5)}
    report = enhance_video(
        long_clip, tmp_path / "parts.mkv", "identity", segment_seconds=20, **options
    )
    whole = enhance_video(
        long_clip, tmp_path / "out.mkv", "identity", segment_seconds=1000, **options
    )
    assert (report.segments, whole.segments) == (2, 1) and report.crf == whole.crf
    assert abs(report.target_bytes / whole.target_bytes - 1) < 0.05


def test_bytes_are_those_of_packets(long_clip):
    plan = plan_segments(long_clip, 2.0)
    found = count_bytes(long_clip, plan)
    assert sum(found.video) == found.all_video > 0 and found.others > 0
    some = count_bytes(long_clip, plan[3:8:2])
    assert some.video == found.video[3:8:2]
    assert replace(some, video=()) == replace(found, video=())
    assert count_bytes(long_clip, [Segment(None, None, 400)]).video == (found.all_video,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_size": "much"}, "a target size is source, or looks like 2GiB or 800MB"),
        ({"target_size": 0}, "a target size is source, or looks like"),
        ({"target_size": "1MB", "crf": 20}, "exclude each other"),
        ({"target_size": "1MB", "codec": "ffv1"}, "ffv1 has no rate factor"),
        ({"target_size": "1MB", "codec": "prores_ks"}, "prores_ks has no rate factor"),
        ({"target_size": "1MB", "frames": 2}, "leave out the start and the number of frames"),
        ({"target_size": 100}, "does not reach 100 bytes"),
        ({"target_size": "1MB", "codec": "libsvtav1"}, ".mov does not hold libsvtav1"),
    ],
)
def test_refusals(tmp_path, options, words):
    source = write_clip(tmp_path / "in.mkv", frames=3)
    with pytest.raises(VideoError, match=words):
        enhance_video(source, tmp_path / "out.mov", "identity", **options)
    assert list(tmp_path.iterdir()) == [source]
