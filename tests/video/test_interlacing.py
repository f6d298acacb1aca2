"""Interlaced video: refused, or enhanced field by field and interlaced again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.media import damage_packet, read_frames, read_packets, write_clip
from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.video import VideoError, enhance_video, read_qp
from vqe_fast.video.frames.planes import depth_of, plane_view
from vqe_fast.video.media.reader import VideoReader

SCANS = {"tff": "top first", "bff": "bottom first"}
COLOR_SPEC = replace(LUMA_SPEC, planes="rgb")
CODED = {"flags": "+ilme+ildct"}


def interlaced(path, scan="tff", **options):
    return write_clip(path, scan=scan, size=(70, 64), options=CODED, **options)


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mp4"), ("ffv1", ".mkv")])
def test_identity_is_bit_exact_and_interlaced_the_same_way(tmp_path, scan, codec, suffix):
    """Fields woven in the other order, or flagged so, make every movement judder."""
    source = interlaced(
        tmp_path / "in.mkv",
        scan,
        prepare=lambda _, video: setattr(
            video.codec_context, "field_order", {"tff": 2, "bff": 3}[scan]
        ),
    )
    target = tmp_path / f"out{suffix}"
    crf = None if codec == "ffv1" else 0
    enhance_video(source, target, "identity", codec=codec, crf=crf, interlaced="fields")
    for (time, planes), (expected_time, expected) in zip(
        read_frames(target), read_frames(source), strict=True
    ):
        assert time == expected_time
        for plane, original in zip(planes, expected, strict=True):
            np.testing.assert_array_equal(plane, original)
    for path in (source, target):
        with VideoReader(path, threads=1) as opened:
            assert opened.facts.scan == SCANS[scan]
            assert all(frame.interlaced_frame for frame in opened.items())
            if path.suffix == ".mkv":
                order = opened.video_stream.codec_context.field_order
                assert order == {"tff": 2, "bff": 3}[scan]


def test_each_field_is_a_picture_of_its_own(tmp_path):
    """A model that sees whole frames takes the comb of two moments for structure."""
    seen = []

    def blur(luma):
        seen.append(tuple(luma.shape))
        return (luma + luma.roll(1, -2)) / 2

    source = interlaced(tmp_path / "in.mkv", frames=3)
    enhance_video(
        source,
        tmp_path / "out.mkv",
        Pointwise(blur),
        codec="ffv1",
        precision="fp32",
        interlaced="fields",
    )
    assert set(seen) == {(2, 1, 32, 70)}
    frames = zip(read_frames(tmp_path / "out.mkv"), read_frames(source), strict=True)
    for (_, (luma, *_)), (_, (original, *_)) in frames:
        for parity in (0, 1):
            field = original[parity::2].astype(float)
            expected = (field + np.roll(field, 1, 0)) / 2
            assert np.abs(luma[parity::2] - expected).max() <= 0.5


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
def test_colours_of_each_field_are_its_own(tmp_path, pixel_format):
    """Rows of chroma alternate as those of luma do, also where there are half as many."""

    def red_and_blue(frame):
        for index, values in enumerate(((80, 60), (100, 180), (190, 110))):
            view = plane_view(frame, index)
            view[0::2], view[1::2] = (value << (depth_of(frame) - 8) for value in values)

    seen = []
    source = write_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        scan="tff",
        size=(70, 64),
        pixel_format=pixel_format,
        draw=red_and_blue,
        frames=2,
    )
    model = Pointwise(lambda rgb: seen.append(rgb.clone()) or rgb, COLOR_SPEC)
    options = {"codec": "ffv1", "precision": "fp32", "interlaced": "fields"}
    enhance_video(source, tmp_path / "out.mkv", model, **options)
    assert seen[0].shape == (2, 3, 32, 70)
    red, blue = seen[0].mean((-2, -1))
    assert (seen[0] - torch.stack((red, blue))[..., None, None]).abs().max() < 1e-5
    assert red.argmax() == 0 and blue.argmax() == 2


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuv422p10le"])
@pytest.mark.parametrize("planes", ["y", "rgb"])
def test_models_that_change_nothing(tmp_path, planes, pixel_format):
    """Fields are woven as they were, on every plane and to the last of ten bits."""
    source = interlaced(tmp_path / "in.mkv", pixel_format=pixel_format, frames=3)
    model = "identity" if planes == "y" else Pointwise(spec=COLOR_SPEC)
    enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1", interlaced="fields")
    for (_, planes), (_, expected) in zip(
        read_frames(tmp_path / "out.mkv"), read_frames(source), strict=True
    ):
        for plane, original in zip(planes, expected, strict=True):
            np.testing.assert_array_equal(plane, original)


def test_qps_are_of_frames(tmp_path, monkeypatch):
    """Both fields are told the same; it is estimated from one of them, not from the comb."""
    seen, told = [], []
    monkeypatch.setattr(
        "vqe_fast.video.session.find_estimator",
        lambda device: lambda luma: seen.append(tuple(luma().shape)) or 30.0,
    )

    class Listens(Pointwise):
        def forward(self, luma, qp):
            told.append(qp)
            return luma

    source = write_clip(tmp_path / "in.mkv", codec="ffv1", scan="tff", size=(70, 64), frames=3)
    model = Listens(spec=replace(LUMA_SPEC, takes_qp=True))
    options = {"precision": "fp32", "interlaced": "fields"}
    report = enhance_video(source, tmp_path / "out.mkv", model, **options)
    assert report.qp_sources == {"estimate": 3}
    assert (set(seen), told) == ({(1, 1, 32, 70)}, [30.0] * 3)


def test_ten_bits(tmp_path):
    source = interlaced(tmp_path / "in.mkv", pixel_format="yuv422p10le", frames=3)
    model = Pointwise(lambda luma: luma + 1 / 1023)
    enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1", interlaced="fields")
    frames = zip(read_frames(tmp_path / "out.mkv"), read_frames(source), strict=True)
    for (_, (luma, *_)), (_, (original, *_)) in frames:
        np.testing.assert_array_equal(luma, np.minimum(original + 1, 1023))


def test_progressive_video_is_enhanced_as_frames_whatever_is_asked(tmp_path):
    seen = []
    source = write_clip(tmp_path / "in.mp4", frames=3)
    model = Pointwise(lambda luma: seen.append(tuple(luma.shape)) or luma)
    enhance_video(source, tmp_path / "out.mp4", model, interlaced="fields")
    assert set(seen) == {(1, 1, 48, 64)}


def refused(source, *words, model="identity", **options):
    target = source.parent / "out.mkv"
    with pytest.raises(VideoError) as caught:
        enhance_video(source, target, model, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert all(word in sentence for word in words), sentence
    assert list(source.parent.iterdir()) == [source]


def test_is_refused_unless_asked_for(tmp_path):
    """Two moments in one frame: enhanced as one picture, both are damaged."""
    refused(interlaced(tmp_path / "in.mp4"), "is interlaced", "--interlaced fields")


def test_telecine_is_refused(tmp_path):
    """Two frames in five are of two moments: neither way of working fits them all."""
    scan = ["prog", "prog", "prog", "tff", "tff"] * 3
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", scan=scan, frames=15)
    for choice in ("refuse", "fields"):
        refused(source, "from progressive to interlaced at frame 3", "telecined", interlaced=choice)


def test_a_late_change_is_refused(tmp_path):
    scan = ["tff"] * 20 + ["prog"] * 5
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", scan=scan, frames=25)
    refused(source, "from interlaced to progressive at frame 20", interlaced="fields")


def test_the_container_alone_says_so(tmp_path):
    """Which of the two is right cannot be known."""
    source = write_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        prepare=lambda _, video: setattr(video.codec_context, "field_order", 2),
    )
    refused(source, "is interlaced")
    refused(source, "the container of", "correct the container's flag", interlaced="fields")


def hevc(path, kind, **options):
    """Pictures of x265: fields apart, or frames whose headers say that two fields are woven."""
    params = {"x265-params": f"log-level=none:bframes=3:{kind}"}
    return write_clip(path, codec="libx265", rate=50, frames=20, options=params, **options)


APART = {"interlace=tff": "top first", "interlace=bff": "bottom first"}
WOVEN = {
    "interlace=bff:field=1": "top first",
    "interlace=tff:field=1": "bottom first",
}  # pic_struct


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("kind", [*APART, *WOVEN])
def test_hevc_is_refused_unless_asked_for(tmp_path, kind, suffix):
    refused(hevc(tmp_path / f"in{suffix}", kind), "is interlaced", "--interlaced fields")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("kind", APART)
def test_fields_of_hevc_are_woven(tmp_path, kind, suffix):
    """Each picture is one field: two make a frame, at the time of the first."""

    def tags(_, video):
        context = video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1

    source = hevc(tmp_path / f"in{suffix}", kind, prepare=tags)
    fields = read_frames(source)
    target = tmp_path / "out.mkv"
    report = enhance_video(source, target, "identity", codec="ffv1", interlaced="fields")
    assert report.frames_out == 10 and (report.width, report.height) == (64, 96)
    assert not report.is_damaged
    frames = read_frames(target)
    times = [time - frames[0][0] for time, _ in frames]
    assert [round(float(time), 3) for time in times] == [i / 25 for i in range(10)]
    rows = (0, 1) if APART[kind] == "top first" else (1, 0)
    for number, (_, planes) in enumerate(frames):
        for field, parity in enumerate(rows):
            for plane, original in zip(planes, fields[2 * number + field][1], strict=True):
                np.testing.assert_array_equal(plane[parity::2], original)
    with VideoReader(target, threads=1) as opened:
        facts = opened.facts
    assert facts.scan == APART[kind] and facts.frame_rate == 25
    assert (facts.color.primaries, facts.color.matrix, facts.color.range) == (1, 1, 1)


@pytest.mark.parametrize("kind", WOVEN)
def test_woven_hevc_gets_its_flags(tmp_path, kind):
    source, target = hevc(tmp_path / "in.mkv", kind), tmp_path / "out.mkv"
    enhance_video(source, target, "identity", codec="ffv1", interlaced="fields")
    with VideoReader(target, threads=1) as opened:
        assert opened.facts.scan == WOVEN[kind]
        assert all(frame.interlaced_frame for frame in opened.items())
    for (time, planes), (expected_time, originals) in zip(
        read_frames(target), read_frames(source), strict=True
    ):
        assert time == expected_time
        for plane, original in zip(planes, originals, strict=True):
            np.testing.assert_array_equal(plane, original)


def test_hevc_fields_in_segments(tmp_path):
    """Seams between segments may fall between the fields of a frame."""
    params = {"x265-params": "log-level=none:bframes=3:keyint=10:interlace=tff"}
    source = write_clip(tmp_path / "in.mkv", codec="libx265", rate=50, frames=125, options=params)
    told = []
    options = {"codec": "ffv1", "interlaced": "fields"}
    report = enhance_video(
        source,
        tmp_path / "parts.mkv",
        "identity",
        segment_seconds=0.73,
        progress=lambda done, total: told.append((done, total)),
        **options,
    )
    assert report.segments == 3 and told[-1][0] == report.frames_out == 63
    assert 63 <= told[-1][1] <= 66
    assert report.frames_damaged == 1  # the last field is alone
    enhance_video(source, tmp_path / "whole.mkv", "identity", **options)
    assert read_packets(tmp_path / "parts.mkv", "video") == read_packets(
        tmp_path / "whole.mkv", "video"
    )


@pytest.mark.parametrize("suffix", [".mkv", ".hevc"])
def test_qps_of_woven_fields(tmp_path, suffix):
    """A frame is told that of its first field, in a bare stream without timestamps too."""
    told = []

    class Listens(Pointwise):
        def forward(self, luma, qp):
            told.append(qp)
            return luma

    kind = "interlace=tff:bframes=0:keyint=4:aq-mode=0:cutree=0:qp=30:ipratio=2"
    source = hevc(tmp_path / f"in{suffix}", kind)
    model = Listens(spec=replace(LUMA_SPEC, takes_qp=True))
    options = {"precision": "fp32", "interlaced": "fields"}
    report = enhance_video(source, tmp_path / "out.mkv", model, **options)
    assert report.qp_sources == {"stream": 10}
    fields = [frame.qp for frame in read_qp(source)]
    # Several threads may run the model, in any order.
    assert sorted(told) == sorted(fields[::2]) == [24.0] * 5 + [30.0] * 5


def test_a_missing_field_of_hevc(tmp_path):
    """The one that is left is shown as both, and later frames have their own."""
    source = hevc(tmp_path / "in.mkv", "interlace=tff:keyint=1:bframes=0")
    fields = read_frames(source)
    damage_packet(source, 7)
    report = enhance_video(
        source, tmp_path / "out.mkv", "identity", codec="ffv1", interlaced="fields"
    )
    assert report.is_damaged and report.frames_out == 10
    frames = read_frames(tmp_path / "out.mkv")
    for parity, field in ((0, 6), (1, 6)):
        np.testing.assert_array_equal(frames[3][1][0][parity::2], fields[field][1][0])
    for parity, field in ((0, 8), (1, 9)):
        np.testing.assert_array_equal(frames[4][1][0][parity::2], fields[field][1][0])


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "libvpx-vp9"])
def test_encoders_that_cannot(tmp_path, codec):
    source = interlaced(tmp_path / "in.mkv", frames=6)
    refused(source, codec, "libx264 or ffv1", codec=codec, interlaced="fields")


def test_odd_height(tmp_path):
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", scan="tff", size=(70, 63), frames=6)
    refused(source, "63 rows", interlaced="fields")


def test_colours_that_do_not_part(tmp_path):
    """33 rows of chroma: the fields would have 17 and 16."""
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", scan="tff", size=(70, 66), frames=6)
    model = Pointwise(spec=COLOR_SPEC)
    words = ("yuv420p with 66 rows", "choose a model of luma")
    refused(source, *words, model=model, interlaced="fields")
    options = {"model": "carcnn_small", "codec": "ffv1", "interlaced": "fields"}
    assert enhance_video(source, tmp_path / "out.mkv", **options).frames_out == 6


def test_unknown_choice(tmp_path):
    refused(interlaced(tmp_path / "in.mkv"), "weave", interlaced="weave")
