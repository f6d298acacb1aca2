"""What enhance_video keeps, and what it changes."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from support.media import add_extras, damage_packet, png, read_frames, read_packets, write_clip
from support.modules import LUMA_SPEC, Pointwise, brighter
from vqe_fast.video import enhance_video
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.tags import content_tags


def assert_same_frames(actual, expected):
    assert [time for time, _ in actual] == [time for time, _ in expected]
    for (_, planes), (_, originals) in zip(actual, expected, strict=True):
        for plane, original in zip(planes, originals, strict=True):
            np.testing.assert_array_equal(plane, original)


@pytest.mark.parametrize(
    ("pixel_format", "size", "codec"),
    [
        ("yuv420p", (64, 48), "ffv1"),
        ("yuv420p", (351, 287), "ffv1"),
        ("yuv422p", (70, 50), "ffv1"),
        ("yuv444p", (351, 287), "ffv1"),
        ("yuv411p", (70, 50), "ffv1"),
        ("yuva420p", (70, 50), "ffv1"),
        ("gray", (70, 50), "ffv1"),
        ("gray10le", (351, 287), "ffv1"),
        ("gray12le", (70, 50), "ffv1"),
        ("yuv420p10le", (351, 287), "ffv1"),
        ("yuv422p10le", (70, 50), "ffv1"),
        ("yuv444p10le", (70, 50), "ffv1"),
        ("yuv420p12le", (70, 50), "ffv1"),
        ("yuv422p12le", (351, 287), "ffv1"),
        ("yuv444p12le", (70, 50), "ffv1"),
        ("yuv444p16le", (70, 50), "ffv1"),
        ("yuv420p", (64, 48), "libx264"),
        ("yuv422p", (70, 50), "libx264"),
        ("yuv444p", (351, 287), "libx264"),
        ("yuv420p10le", (70, 50), "libx264"),
        ("yuv422p10le", (70, 50), "libx264"),
        ("yuv444p10le", (70, 50), "libx264"),
        ("yuv420p", (70, 50), "libx265"),
        ("yuv420p10le", (70, 50), "libx265"),
        ("yuv422p12le", (70, 50), "libx265"),
        ("yuv444p12le", (70, 50), "libx265"),
        ("gray10le", (70, 50), "libx265"),
        ("yuv420p", (351, 287), "libsvtav1"),
        ("yuv420p10le", (70, 50), "libsvtav1"),
        ("yuv420p", (351, 287), "libvpx-vp9"),
        ("yuv422p", (70, 50), "libvpx-vp9"),
        ("yuv444p", (70, 50), "libvpx-vp9"),
    ],
)
def test_identity_is_bit_exact_on_every_plane(tmp_path, pixel_format, size, codec):
    """Row padding read as samples, or a hidden conversion of range, depth or chroma, shows here."""
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", pixel_format=pixel_format, size=size, frames=3
    )
    target = tmp_path / "out.mkv"
    crf = None if codec == "ffv1" else 0
    report = enhance_video(source, target, "identity", codec=codec, crf=crf)
    assert_same_frames(read_frames(target), read_frames(source))
    assert (report.frames_in, report.frames_out) == (3, 3)
    assert (report.width, report.height) == size
    assert (report.codec, report.pixel_format) == (codec, pixel_format)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1"])
@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj444p"])
def test_full_range_is_kept_whether_the_format_implies_it_or_not(tmp_path, pixel_format, codec):
    """swscale squeezes samples into limited range for encoders without yuvj formats."""
    if (pixel_format, codec) == ("yuvj444p", "libsvtav1"):
        pytest.skip("SVT-AV1 takes 4:2:0 only")
    source = write_clip(
        tmp_path / "in.mkv",
        pixel_format=pixel_format,
        frames=3,
        prepare=lambda _, video: setattr(video.codec_context, "color_range", 2),
    )
    target = tmp_path / "out.mkv"
    crf = None if codec == "ffv1" else 0
    enhance_video(source, target, "identity", codec=codec, crf=crf)
    assert_same_frames(read_frames(target), read_frames(source))
    with av.open(str(target)) as container:
        assert next(container.decode(video=0)).color_range == 2


@pytest.mark.parametrize("planes", ["y", "rgb"])
def test_interleaved_formats_keep_their_samples(tmp_path, planes):
    """nv12, as cameras and some decoders give it."""
    source = write_nv12(tmp_path / "in.mkv")
    model = Pointwise(spec=replace(LUMA_SPEC, planes=planes))
    report = enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1")
    assert report.pixel_format == "yuv420p"
    with av.open(str(source)) as container:
        originals = [frame.to_ndarray() for frame in container.decode(video=0)]
    frames = read_frames(tmp_path / "out.mkv")
    for original, (_, (luma, u, v)) in zip(originals, frames, strict=True):
        np.testing.assert_array_equal(luma, original[:48])
        np.testing.assert_array_equal(u, original[48:, 0::2])
        np.testing.assert_array_equal(v, original[48:, 1::2])


def write_nv12(path):
    generator = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", 25, width=64, height=48)
        stream.pix_fmt = "nv12"
        for _ in range(10):
            samples = generator.integers(0, 256, (72, 64), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(samples, "nv12")))
        container.mux(stream.encode(None))
    return path


def test_only_luma_changes(tmp_path):
    """Chroma that goes through RGB, or through the model's rounding, comes back different."""
    source = write_clip(tmp_path / "in.mp4", frames=20, options={"bf": "3", "refs": "4"})
    target = tmp_path / "out.mp4"
    enhance_video(source, target, brighter(10), codec="ffv1")
    expected = [
        (time, [np.clip(luma.astype(int) + 10, 0, 255).astype(np.uint8), *chroma])
        for time, (luma, *chroma) in read_frames(source)
    ]
    assert_same_frames(read_frames(target), expected)


def test_only_luma_changes_in_ten_bits(tmp_path):
    """The model sees ten bits, not the upper eight of them."""
    source = write_clip(
        tmp_path / "in.mkv", codec="libx265", pixel_format="yuv420p10le", size=(70, 50)
    )
    model = Pointwise(lambda luma: luma + 3 / 1023)
    enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1")
    expected = [
        (time, [np.minimum(luma + 3, 1023), *chroma])
        for time, (luma, *chroma) in read_frames(source)
    ]
    assert_same_frames(read_frames(tmp_path / "out.mkv"), expected)


def test_conversion_to_more_bits_keeps_what_enhancement_adds(tmp_path):
    """A quarter of an 8-bit step, lost to rounding in eight bits, is one step in ten."""
    source = write_clip(tmp_path / "in.mp4", frames=12)
    model = Pointwise(lambda luma: luma + 1 / 1023)
    report = enhance_video(source, tmp_path / "out.mkv", model, codec="ffv1", pix_fmt="yuv420p10le")
    assert report.pixel_format == "yuv420p10le"
    expected = [
        (time, [plane.astype(np.uint16) * 4 + (plane is planes[0]) for plane in planes])
        for time, planes in read_frames(source)
    ]
    assert_same_frames(read_frames(tmp_path / "out.mkv"), expected)


def test_rgb_is_enhanced_where_a_format_is_given(tmp_path):
    source = write_clip(
        tmp_path / "in.webm", codec="libvpx-vp9", pixel_format="gbrp", size=(70, 50), frames=3
    )
    enhance_video(source, tmp_path / "out.mp4", "identity", pix_fmt="yuv444p")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv444p", 1, 1)


@pytest.mark.parametrize(
    ("source_codec", "expected", "suffix"),
    [
        ("libx264", "h264", ".mp4"),
        ("libx265", "hevc", ".mov"),
        ("libsvtav1", "av1", ".mp4"),
        ("libvpx-vp9", "vp9", ".webm"),
        ("ffv1", "ffv1", ".mkv"),
    ],
)
def test_the_source_s_own_codec(tmp_path, source_codec, expected, suffix):
    source = write_clip(tmp_path / f"in{suffix}", codec=source_codec, size=(70, 66), frames=3)
    target = tmp_path / f"out{suffix}"
    report = enhance_video(source, target, "identity", codec="source")
    assert report.codec == source_codec
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == expected


def test_webm_with_opus(tmp_path):
    source = write_clip(tmp_path / "in.webm", codec="libvpx-vp9", audio=("libopus",))
    target = tmp_path / "out.webm"
    enhance_video(source, target, "identity", codec="source", crf=0)
    assert_same_frames(read_frames(target), read_frames(source))
    assert read_packets(target, "audio") == read_packets(source, "audio")


def test_speed_and_quality_reach_libvpx(tmp_path):
    source = write_clip(tmp_path / "in.mp4", size=(160, 96), frames=20)
    sizes = []
    for options in ({"crf": 63, "preset": "8"}, {"crf": 10, "preset": "0"}):
        target = tmp_path / f"{options['crf']}.webm"
        enhance_video(source, target, "identity", codec="libvpx-vp9", **options)
        sizes.append(target.stat().st_size)
    assert sizes[1] > 3 * sizes[0]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one thread cuts no frames")
def test_frames_are_not_cut_into_slices(tmp_path):
    """Threads that share a frame make x264 slower and its files larger than one for each frame."""
    source = write_clip(tmp_path / "in.mp4", size=(64, 256))
    enhance_video(source, tmp_path / "out.mkv", "identity")
    assert b"sliced_threads=0" in (tmp_path / "out.mkv").read_bytes()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_audio_packets_are_copied_byte_for_byte(tmp_path, suffix):
    """Audio lost, re-encoded or shifted against the picture."""
    source = write_clip(tmp_path / f"in{suffix}", audio=("aac",), frames=20)
    target = tmp_path / f"out{suffix}"
    enhance_video(source, target, Pointwise())
    assert read_packets(target, "audio") == read_packets(source, "audio")
    assert [time for time, _ in read_frames(target)] == [time for time, _ in read_frames(source)]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_second_video_stream_is_copied(tmp_path, suffix):
    """Of Matroska's packets with B-frames the first ones have no decoding times."""
    first = write_clip(tmp_path / "first.mp4", options={"bf": "2"})
    options = {"bf": "3", "x264-params": "b-adapt=0"}
    second = write_clip(tmp_path / "second.mp4", size=(48, 32), options=options)
    source, target = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    joined([first, second], source)
    with av.open(str(source)) as container:
        assert next(container.demux(video=1)).dts is None
    enhance_video(source, target, "identity")
    before, after = (sorted(read_packets(path, "video")[1]) for path in (source, target))
    assert [(time, data) for time, _, data in before] == [(time, data) for time, _, data in after]


def joined(paths, target):
    """Writes the streams of several files into one."""
    with av.open(str(target), "w") as output, ExitStack() as stack:
        inputs = [stack.enter_context(av.open(str(path))) for path in paths]
        streams = [output.add_stream_from_template(each.streams[0]) for each in inputs]
        for container, stream in zip(inputs, streams, strict=True):
            for packet in container.demux(0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)


def test_everything_else_in_a_matroska_file_is_kept(tmp_path):
    """Second tracks, subtitles, fonts, cover art, chapters and tags dropped on the way."""
    source = write_clip(tmp_path / "in.mkv", audio=("aac", "pcm_s16le"), prepare=add_extras)
    target = tmp_path / "out.mkv"
    enhance_video(source, target, Pointwise(), tag=False)
    for kind in ("audio", "subtitle"):
        assert read_packets(target, kind) == read_packets(source, kind)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert content_tags(after.metadata) == content_tags(before.metadata) != {}
        assert after.chapters() == before.chapters()
        assert len(after.chapters()) == 2
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        for new, old in zip(after.streams, before.streams, strict=True):
            assert new.disposition == old.disposition
            assert new.metadata == old.metadata
        assert after.streams.attachments[0].data == before.streams.attachments[0].data
        pictures = [next(c.demux(c.streams.video[1])) for c in (before, after)]
        assert bytes(pictures[0]) == bytes(pictures[1])


def test_chapters_and_cover_art_move_between_containers(tmp_path):
    """An mp4 keeps chapters in a track of its own, which must not be refused as data."""
    mkv = write_clip(tmp_path / "in.mkv", audio=("aac", "aac"), prepare=_chapters_and_cover)
    mp4, back = tmp_path / "there.mp4", tmp_path / "back.mkv"
    enhance_video(mkv, mp4, Pointwise())
    enhance_video(mp4, back, Pointwise())
    with av.open(str(mkv)) as before, av.open(str(back)) as after:
        titles = [[c["metadata"]["title"] for c in f.chapters()] for f in (before, after)]
        assert titles[0] == titles[1] == ["first", "second"]
        pictures = [next(c.demux(c.streams.video[1])) for c in (before, after)]
        assert bytes(pictures[0]) == bytes(pictures[1])
        assert not [tag for tag in after.metadata if "BRAND" in tag]


def _chapters_and_cover(container, video):
    container.add_attachment("cover.png", "image/png", png())
    fifth = Fraction(1, 5)
    container.set_chapters(
        [
            {"id": i, "start": i, "end": i + 1, "time_base": fifth, "metadata": {"title": title}}
            for i, title in enumerate(("first", "second"))
        ]
    )


def test_colour_tags_pixel_aspect_and_rotation_are_kept(tmp_path):
    """Untagged output is shown in other colours; lost rotation or aspect, in another shape."""

    def prepare(container, video):
        context = video.codec_context
        context.sample_aspect_ratio = Fraction(4, 3)
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        context.color_range = 1
        video.set_display_rotation(90, hflip=True)

    source = write_clip(tmp_path / "in.mp4", prepare=prepare)
    for codec in ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1"):
        target = tmp_path / f"{codec}.mp4"
        enhance_video(source, target, Pointwise(), codec=codec)
        assert _tags(target) == _tags(source)
    assert _tags(source)[:2] == (Fraction(4, 3), (9, 16, 9, 1))


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", ".mp4"),
        ("libx265", ".mov"),
        ("libsvtav1", ".webm"),
        ("libvpx-vp9", ".webm"),
        ("ffv1", ".mkv"),
    ],
)
def test_chroma_siting_is_kept(tmp_path, codec, suffix):
    """UHD discs have chroma at the top left: shown at the left, colours move by half a pixel."""
    source = write_clip(
        tmp_path / "in.mp4",
        frames=3,
        size=(64, 64),
        prepare=lambda _, video: video.codec_context.options.update(
            chroma_sample_location="topleft"
        ),
    )
    target = tmp_path / f"out{suffix}"
    enhance_video(source, target, "identity", codec=codec)
    for path in (source, target):
        with VideoReader(path, threads=1) as opened:
            assert opened.facts.chroma_location == "topleft"


def _tags(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        color = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
        matrix = bytes(frame.side_data["DISPLAYMATRIX"])
        return stream.sample_aspect_ratio, color, matrix, stream.average_rate


def test_rotation_from_exif_is_read(tmp_path):
    """PyAV raises ValueError on side data it has no name for, such as that of a camera's JPEG."""
    plain = write_clip(
        tmp_path / "plain.mjpeg", codec="mjpeg", pixel_format="yuvj420p", frames=1
    ).read_bytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    source = tmp_path / "photo.jpg"
    source.write_bytes(plain[:2] + segment + plain[2:])
    target = tmp_path / "out.mp4"
    enhance_video(source, target, Pointwise())
    rotations = []
    for path in (source, target):
        with av.open(str(path)) as container:
            rotations.append(next(container.decode(video=0)).rotation)
    assert rotations == [-90, -90]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "ffv1"])
def test_variable_frame_rate_and_start_offset_are_kept(tmp_path, suffix, codec):
    """Timestamps rewritten at a constant rate, or shifted to zero, lose the sound's sync."""
    pts = [900, 940, 1020, 1030, 1300, 1301, 2000, 2040]
    source = write_clip(tmp_path / f"in{suffix}", pts=pts, time_base=Fraction(1, 1000))
    target = tmp_path / f"out{suffix}"
    enhance_video(source, target, Pointwise(), codec=codec)
    assert [time for time, _ in read_frames(target)] == [Fraction(t, 1000) for t in pts]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("start", [-3, 5])
def test_beginning_is_kept(tmp_path, suffix, start):
    """Frames before zero are cut by an edit list in mp4, and shift everything in Matroska."""
    pts = [(start + i) * 512 for i in range(12)]
    source = write_clip(tmp_path / f"in{suffix}", pts=pts, audio=("aac",), options={"bf": "2"})
    target = tmp_path / f"out{suffix}"
    enhance_video(source, target, "identity")
    assert len(read_frames(source)) == (9 if (suffix, start) == (".mp4", -3) else 12)
    assert [time for time, _ in read_frames(target)] == [time for time, _ in read_frames(source)]
    assert read_packets(target, "audio") == read_packets(source, "audio")


def test_long_chapters(tmp_path):
    """MP4 has the length of a chapter in 32 bits: its clock must not be too fast for that."""

    def mark(container, _):
        marks = [{"id": i, "start": 2000 * i, "end": 2000 * (i + 1)} for i in range(3)]
        rest = {"time_base": Fraction(1), "metadata": {"title": "a chapter"}}
        container.set_chapters([each | rest for each in marks])
        container.add_stream("aac", rate=44100, layout="mono")

    source = write_clip(tmp_path / "in.mkv", prepare=mark, time_base=Fraction(1, 90000))
    target = tmp_path / "out.mp4"
    enhance_video(source, target, "identity")
    with av.open(str(target)) as container:
        found = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in container.chapters()
        ]
    assert found == [(0, 2000), (2000, 4000), (4000, 6000)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(("pictures", "sound"), [(0, 1001), (7, 0), (0, 6007)])
def test_sound_begins_when_it_did(tmp_path, suffix, pictures, sound):
    """Within a sample: edit lists count in milliseconds unless they are told otherwise."""
    source = write_clip(
        tmp_path / "in.ts",
        pts=[pictures * 531 + 512 * i for i in range(12)],
        audio=("aac",),
        sound_from=Fraction(sound, 48000),
        options={"bf": "2"},
    )
    target = tmp_path / f"out{suffix}"
    enhance_video(source, target, "identity")

    def lag(path):
        (packets,) = read_packets(path, "audio")
        return packets[1][0] - read_frames(path)[0][0]  # the first one may be for the decoder only

    assert abs(lag(target) - lag(source)) <= Fraction(1, 48000)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "ffv1"])
def test_durations_of_frames_are_kept(tmp_path, codec):
    """Without them the last picture of a slide show vanishes after a fraction of a second."""
    pts = [0, 40, 3000, 3040, 8000]
    source = write_clip(
        tmp_path / "in.mp4", codec="ffv1", pts=pts, time_base=Fraction(1, 1000), rate=2
    )
    enhance_video(source, tmp_path / "out.mkv", "identity", codec=codec)
    with av.open(str(tmp_path / "out.mkv")) as container:
        durations = [frame.duration for frame in container.decode(video=0)]
    assert durations == [40, 2960, 40, 4960, 500]


def test_missing_timestamps_are_filled_in(tmp_path):
    """A raw stream has none: PyAV would then count ticks, and the video would last milliseconds."""
    source = write_clip(tmp_path / "in.h264", frames=10, options={"bf": "0"})
    target = tmp_path / "out.mp4"
    enhance_video(source, target, Pointwise())
    times = [time for time, _ in read_frames(target)]
    assert {later - earlier for earlier, later in pairwise(times)} == {Fraction(1, 25)}


def test_equal_timestamps_are_set_apart(tmp_path):
    """Cut files repeat a timestamp at the seam; muxers refuse that, and a frame would be lost."""
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", pts=[0, 40, 40, 80], time_base=Fraction(1, 1000)
    )
    enhance_video(source, tmp_path / "out.mp4", Pointwise())
    times = [time * 1000 for time, _ in read_frames(tmp_path / "out.mp4")]
    assert times == [0, 40, 41, 80]


def test_mpeg4_in_avi(tmp_path):
    """Old archives: no presentation timestamps in the container."""
    source = write_clip(tmp_path / "in.avi", codec="mpeg4", time_base=Fraction(1, 25))
    report = enhance_video(source, tmp_path / "out.mkv", Pointwise(), codec="ffv1")
    assert report.frames_out == 12
    assert_same_frames(read_frames(tmp_path / "out.mkv"), read_frames(source))


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1"])
def test_other_encoders_write_nothing_to_the_terminal(tmp_path, codec):
    """x265 and SVT-AV1 print their settings to stderr past FFmpeg's log, once in a process."""
    source = write_clip(tmp_path / "in.mp4")
    script = "import sys, vqe_fast; vqe_fast.enhance_video(*sys.argv[1:4], codec=sys.argv[4])"
    command = [sys.executable, "-c", script, source, tmp_path / "out.mp4", "identity", codec]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert len(read_frames(tmp_path / "out.mp4")) == 12


def test_hevc_in_mp4_has_the_tag_that_apple_plays(tmp_path):
    source = write_clip(tmp_path / "in.mp4")
    enhance_video(source, tmp_path / "out.mp4", Pointwise(), codec="libx265")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_one_or_two_frames(tmp_path):
    """libx265 reads its delay, before it has seen the frame that it takes it from.

    Where the memory was never used before, that happens to be zero.
    """
    script = """
import sys
from vqe_fast.video import enhance_video
for frames in (1, 2, 3):
    enhance_video(sys.argv[1], f"{frames}.mp4", "identity", frames=frames, codec="libx265")
"""
    clip = write_clip(tmp_path / "in.mp4")
    subprocess.run(
        [sys.executable, "-c", script, str(clip)],
        cwd=tmp_path,
        env={**os.environ, "MALLOC_PERTURB_": "165"},
        check=True,
    )
    for frames in (1, 2, 3):
        (packets,) = read_packets(tmp_path / f"{frames}.mp4", "video")
        assert sorted(start for start, *_ in packets) == [i / Fraction(25) for i in range(frames)]


def test_source_picture_types_do_not_force_the_encoder(tmp_path):
    """An all-intra source must not make an all-intra output many times as large."""
    source = write_clip(tmp_path / "in.mp4", options={"g": "1"}, frames=20)
    enhance_video(source, tmp_path / "out.mp4", Pointwise())
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) == 1


def test_timecode_track_is_rebuilt(tmp_path):
    """Camera files carry a timecode track that no muxer takes as a copy."""
    source = write_clip(
        tmp_path / "in.mov", prepare=lambda _, video: video.metadata.update(timecode="01:00:00:00")
    )
    enhance_video(source, tmp_path / "out.mp4", Pointwise())
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].metadata["timecode"] == "01:00:00:00"
        assert len(container.streams.data) == 1


def test_frames_cuts_all_streams_at_the_same_time(tmp_path):
    """With --frames the sound of the whole file would follow a still picture."""
    source = write_clip(tmp_path / "in.mkv", audio=("aac", "pcm_s16le"), frames=50)
    report = enhance_video(source, tmp_path / "out.mkv", Pointwise(), frames=10)
    assert (report.frames_in, report.frames_out) == (10, 10)
    assert_times_below(tmp_path / "out.mkv", Fraction(10, 25))


def assert_times_below(path, cut):
    packet_length = Fraction(1024, 48000) + Fraction(1, 1000)
    tracks = read_packets(path, "audio")
    assert len(tracks) == 2
    for track in tracks:
        last = max(time for time, _, _ in track)
        assert cut - packet_length <= last < cut


def test_frames_beyond_the_end_takes_all(tmp_path):
    source = write_clip(tmp_path / "in.mkv", audio=("aac",))
    report = enhance_video(source, tmp_path / "out.mkv", Pointwise(), frames=99)
    assert report.frames_out == 12
    assert read_packets(tmp_path / "out.mkv", "audio") == read_packets(source, "audio")


def test_damaged_packets_are_counted_and_the_rest_enhanced(tmp_path):
    """One bad packet in an archive file must neither stop the job nor go unreported."""
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", frames=10, options={"g": "1"})
    damage_packet(source, 5)
    report = enhance_video(source, tmp_path / "out.mkv", Pointwise())
    assert (report.damaged_packets, report.frames_damaged) == (1, 0)
    assert report.is_damaged
    assert report.frames_in == report.frames_out == 9


def test_frames_that_decode_with_errors_are_counted(tmp_path):
    """A decoder that conceals what is missing gives a frame, but not the one that was coded."""
    source = write_clip(
        tmp_path / "in.h264", size=(160, 96), frames=12, options={"bf": "0", "slices": "4"}
    )
    data = bytearray(source.read_bytes())
    start = data.index(b"\0\0\1\x41", len(data) // 2)
    data[start + 6 : start + 40] = b"\xff" * 34
    source.write_bytes(data)
    report = enhance_video(source, tmp_path / "out.mp4", "identity")
    assert report.frames_in == 12
    assert report.frames_damaged >= 1
    assert report.is_damaged


def test_a_damaged_packet_of_sound_does_not_end_the_work(tmp_path):
    """What a container refuses to copy must cost that packet, not the film."""
    source = write_clip(tmp_path / "in.ts", audio=("aac",), frames=20, time_base=Fraction(1, 90000))
    data = bytearray(source.read_bytes())
    sound = bytes([0x41, 0x01])  # a packet that begins a unit of stream 0x101
    headers = [i for i in range(0, len(data), 188) if data[i + 1 : i + 3] == sound]
    for place in headers[2:4]:
        data[place + 20 : place + 188] = b"\xff" * 168
    source.write_bytes(data)
    report = enhance_video(source, tmp_path / "out.mkv", "identity")
    assert report.frames_out == 20
    assert report.damaged_packets >= 1
    assert len(read_packets(tmp_path / "out.mkv", "audio")[0]) > 10


def test_an_existing_target_is_replaced_when_asked(tmp_path):
    source = write_clip(tmp_path / "in.mp4")
    target = tmp_path / "out.mp4"
    target.write_text("old")
    enhance_video(source, target, Pointwise(), overwrite=True)
    assert len(read_frames(target)) == 12


def test_a_link_as_target_keeps_being_a_link(tmp_path):
    """os.replace on the link itself would leave the file that it names as it was."""
    source = write_clip(tmp_path / "in.mp4")
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.mp4", tmp_path / "link.mp4"
    link.symlink_to(real)
    enhance_video(source, link, Pointwise())
    assert link.is_symlink()
    assert len(read_frames(real)) == 12


@pytest.mark.parametrize("name", ["a:b.mp4", "100% über.mp4", "-x.mp4"])
def test_names_that_look_like_urls_or_options(tmp_path, name, monkeypatch):
    """FFmpeg takes what stands before a colon for a protocol."""
    monkeypatch.chdir(tmp_path)
    write_clip("in.mp4")
    Path("in.mp4").rename(name)
    report = enhance_video(name, f"out:{name}", Pointwise())
    assert report.frames_out == 12


def test_progress_counts_to_the_estimate(tmp_path):
    source = write_clip(tmp_path / "in.mp4")
    calls = []
    enhance_video(source, tmp_path / "out.mp4", Pointwise(), progress=lambda *a: calls.append(a))
    assert calls == [(n, 12) for n in range(1, 13)]
    calls.clear()
    enhance_video(
        source, tmp_path / "cut.mp4", Pointwise(), frames=5, progress=lambda *a: calls.append(a)
    )
    assert calls == [(n, 5) for n in range(1, 6)]


def test_report_says_what_was_done(tmp_path):
    source = write_clip(tmp_path / "in.mp4")
    report = enhance_video(source, tmp_path / "out.mp4", Pointwise(), precision="fp32")
    fields = json.loads(json.dumps(report.to_dict()))
    assert fields == fields | {
        "source": str(source),
        "target": str(tmp_path / "out.mp4"),
        "frames_in": 12,
        "frames_out": 12,
        "frames_damaged": 0,
        "frames_scaled": 0,
        "damaged_packets": 0,
        "not_kept": [],
        "model": "Pointwise",
        "precision": "fp32",
        "device": "cpu",
        "codec": "libx264",
        "crf": 18,
        "preset": None,
        "pixel_format": "yuv420p",
    }
    assert fields["fps"] == pytest.approx(12 / fields["seconds"])


def test_the_spec_alone_decides(tmp_path):
    """The engine must not look at a model's class: any module with a luma spec runs."""
    spec = replace(LUMA_SPEC, receptive_field=7, alignment=4)
    source = write_clip(tmp_path / "in.mp4")
    assert enhance_video(source, tmp_path / "out.mp4", Pointwise(spec=spec)).frames_out == 12
