"""ProRes, DNxHR and FFV1: profiles, pixel formats, containers, and what archives ask for."""

import av
import numpy as np
import pytest

from support.media import read_frames, write_clip
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.frames.pixel_formats import bit_depth
from vqe_fast.video.media.encoders import ENCODERS
from vqe_fast.video.media.ffmpeg_log import captured_log
from vqe_fast.video.media.reader import VideoReader

SIZE = (320, 192)  # DNxHR has at least 256x120
PROFILES = [
    (codec, name, pixel_format)
    for codec in ("prores_ks", "dnxhd")
    for name, profile in ENCODERS[codec].profiles.items()
    for pixel_format in profile.pixel_formats
]
DECODED = {"yuv444p10le": "yuv444p12le", "yuva444p10le": "yuva444p12le"}  # of ProRes 4444


def bt709(_, video):
    context = video.codec_context
    context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1


def lossless(path, pixel_format, prepare=bt709, **options):
    options = {"codec": "ffv1", "size": SIZE, "frames": 3, "prepare": prepare} | options
    return write_clip(path, pixel_format=pixel_format, **options)


def facts_of(path):
    with VideoReader(path, threads=1) as source:
        return source.facts


def stored_profile(path):
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.profile


@pytest.mark.parametrize(("codec", "profile", "pixel_format"), PROFILES)
def test_profiles(tmp_path, codec, profile, pixel_format):
    """Each is in the stream under its name, and the picture comes back."""
    source, target = lossless(tmp_path / "in.mkv", pixel_format), tmp_path / "out.mov"
    report = enhance_video(source, target, "identity", codec=codec, preset=profile)
    assert report.preset == profile and report.crf is None
    told = stored_profile(target).lower().replace(" ", "_")
    assert told == {"4444xq": "xq"}.get(profile, profile)
    facts, expected = facts_of(target), facts_of(source)
    assert facts.color == expected.color and facts.scan == "progressive"
    decoded = DECODED.get(pixel_format, pixel_format) if codec == "prores_ks" else pixel_format
    assert facts.pixel_format == decoded
    depth = bit_depth(decoded)
    extra, peak = depth - bit_depth(pixel_format), 1 << depth
    for (_, planes), (_, originals) in zip(read_frames(target), read_frames(source), strict=True):
        for plane, original in zip(planes, originals, strict=True):
            error = plane.astype(float) - (original.astype(float) * 2**extra)
            assert np.sqrt(np.mean(error**2)) < peak / 40


@pytest.mark.parametrize(
    ("codec", "pixel_format", "profile"),
    [
        ("prores_ks", "yuv422p10le", "hq"),
        ("prores_ks", "yuv444p10le", "4444"),
        ("dnxhd", "yuv422p", "dnxhr_hq"),
        ("dnxhd", "yuv422p10le", "dnxhr_hqx"),
        ("dnxhd", "yuv444p10le", "dnxhr_444"),
    ],
)
def test_usual_profile(tmp_path, codec, pixel_format, profile):
    source = lossless(tmp_path / "in.mkv", pixel_format)
    report = enhance_video(source, tmp_path / "out.mov", "identity", codec=codec)
    assert report.preset == profile and report.options["preset"] is None
    assert stored_profile(tmp_path / "out.mov").lower().replace(" ", "_") == profile


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
@pytest.mark.parametrize("scan", ["tff", "bff"])
def test_interlaced_prores(tmp_path, suffix, scan):
    source = lossless(tmp_path / "in.mkv", "yuv422p10le", scan=scan)
    target = tmp_path / f"out{suffix}"
    enhance_video(source, target, "identity", codec="prores_ks", interlaced="fields")
    assert facts_of(target).scan == facts_of(source).scan != "progressive"


@pytest.mark.parametrize(
    ("codec", "pixel_format", "profile"),
    [("prores_ks", "yuv422p10le", "lt"), ("dnxhd", "yuv422p", "dnxhr_sq")],
)
def test_source_s_codec(tmp_path, codec, pixel_format, profile):
    source = lossless(tmp_path / "in.mov", pixel_format, codec=codec, options={"profile": profile})
    report = enhance_video(source, tmp_path / "out.mov", "identity", codec="source")
    assert report.codec == codec


def refused(source, name, *words, **options):
    with pytest.raises(VideoError) as caught:
        enhance_video(source, source.parent / name, "identity", **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and all(word in sentence for word in words), sentence
    assert not (source.parent / name).exists()


@pytest.mark.parametrize(
    ("pixel_format", "name", "options", "words"),
    [
        ("yuv422p10le", "o.mov", {"codec": "prores_ks", "crf": 0}, ("takes no crf", "proxy, lt")),
        (
            "yuv422p10le",
            "o.mov",
            {"codec": "prores_ks", "preset": "fast"},
            ("proxy, lt, standard",),
        ),
        (
            "yuv422p10le",
            "o.mov",
            {"codec": "prores_ks", "preset": "4444"},
            ("4444 of prores_ks does not code yuv422p10le", "proxy or lt", "pix_fmt yuv444p10le"),
        ),
        (
            "yuv422p",
            "o.mov",
            {"codec": "dnxhd", "preset": "dnxhr_hqx"},
            ("choose dnxhr_lb or dnxhr_sq or dnxhr_hq", "pix_fmt yuv422p10le"),
        ),
        ("yuv420p", "o.mov", {"codec": "prores_ks"}, ("choose libx264", "such as yuv422p10le")),
        ("yuv420p", "o.mov", {"codec": "dnxhd"}, ("choose libx264", "such as yuv422p")),
        ("yuv422p10le", "o.mp4", {"codec": "prores_ks"}, ("write to .mov or .mkv",)),
        ("yuv422p", "o.mkv", {"codec": "dnxhd"}, ("write to .mov", "or libvpx-vp9 or ffv1")),
    ],
)
def test_what_they_do_not_take(tmp_path, pixel_format, name, options, words):
    """What a sentence sends to is not refused in turn."""
    refused(lossless(tmp_path / "in.mkv", pixel_format), name, *words, **options)


def test_full_range_would_be_lost(tmp_path):
    def full(_, video):
        bt709(_, video)
        video.codec_context.color_range = 2

    source = lossless(tmp_path / "in.mkv", "yuv422p10le", prepare=full)
    refused(source, "out.mov", "prores_ks", "full range", codec="prores_ks")


def test_another_matrix_would_be_lost(tmp_path):
    def bt601(_, video):
        video.codec_context.colorspace = 6

    source = lossless(tmp_path / "in.mkv", "yuv422p", prepare=bt601)
    words = ("dnxhd in .mov would lose", "colour matrix (6)", "choose libx264 or libx265")
    refused(source, "out.mov", *words, codec="dnxhd")


def test_interlaced_dnxhr_is_refused(tmp_path):
    source = lossless(tmp_path / "in.mkv", "yuv422p", scan="tff")
    words = ("dnxhd does not code interlaced", "choose libx264")
    refused(source, "out.mov", *words, codec="dnxhd", interlaced="fields")


def test_sizes_that_dnxhr_has_not(tmp_path):
    source = lossless(tmp_path / "in.mkv", "yuv422p", size=(64, 48))
    refused(source, "out.mov", "dnxhd does not open for 64x48", codec="dnxhd")


def test_ffv1_is_as_archives_ask(tmp_path):
    """Level 3, every frame a keyframe, and slices whose checksums tell damage."""
    source = lossless(
        tmp_path / "in.mkv", "yuv420p", codec="libx264", options={"qp": "0"}, frames=4
    )
    target = tmp_path / "out.mkv"
    enhance_video(source, target, "identity", codec="ffv1")
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        extradata = container.streams.video[0].codec_context.extradata
    assert all(packet.is_keyframe for packet in packets) and extradata  # level 3 has a header
    damaged = bytearray(target.read_bytes())
    victim = bytes(packets[1])
    at = damaged.index(victim) + len(victim) // 2
    damaged[at] ^= 0x10
    target.write_bytes(damaged)
    with captured_log() as lines:
        read_frames(target)
    assert any("CRC mismatch" in message for _, _, message in lines)
