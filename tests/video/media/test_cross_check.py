"""Times of frames and sound, cross-checked by a second reader over what FFmpeg can generate."""

import itertools
from fractions import Fraction

import pytest

from support.second_reader import HAS_FFMPEG, Recipe, generate, read
from vqe_fast.video import VideoError, enhance_video

ENCODERS = (
    *("libx264", "libx265", "libvpx", "libvpx-vp9", "libsvtav1", "libaom-av1", "libxvid"),
    *("mpeg4", "mpeg2video", "mpeg1video", "msmpeg4", "msmpeg4v2", "wmv1", "wmv2", "h263p", "flv"),
    *("mjpeg", "ljpeg", "jpegls", "jpeg2000", "prores_ks", "dnxhd", "cfhd", "vc2", "speedhq"),
    *("ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "v210", "dvvideo", "snow"),
    *("libtheora", "svq1", "asv1", "rv20", "cinepak", "roqvideo", "amv", "wrapped_avframe"),
)
MUXERS = {
    "mp4": ("mp4", "aac"),
    "mov": ("mov", "pcm_s16le"),
    "3gp": ("3gp", "aac"),
    "matroska": ("mkv", "libvorbis"),
    "webm": ("webm", "libopus"),
    "avi": ("avi", "libmp3lame"),
    "mpegts": ("ts", "mp2"),
    "mpeg": ("mpg", "mp2"),
    "flv": ("flv", "aac"),
    "asf": ("wmv", "wmav2"),
    "nut": ("nut", "pcm_s16le"),
    "ogg": ("ogv", "libvorbis"),
    "mxf": ("mxf", "pcm_s16le"),
    "wtv": ("wtv", "mp2"),
    "ivf": ("ivf", None),
    "yuv4mpegpipe": ("y4m", None),
}
"""FFmpeg's name of the container → suffix, and an encoder of sound that it holds."""

RATES = (Fraction(25), Fraction(30000, 1001), Fraction(15), Fraction(24000, 1001), Fraction(60))
OFFSETS = ((0, 0), (0, 0.25), (0.3, 0))
"""Seconds by which video and sound begin later."""

REORDERING = {"libx264", "libx265", "mpeg4", "mpeg2video", "mpeg1video"}
FIXED_RATES = {"dvvideo": Fraction(25)}
SIZES = {"dnxhd": "1280x720", "dvvideo": "720x576"}
REORDERED = {"codec": "libx264", "preset": "superfast"}
TARGETS = ((".mkv", {"codec": "ffv1"}), (".mp4", REORDERED), (".mkv", REORDERED))
"""Containers to write, and the encoder: one that reorders frames, and one that does not."""

MILLISECOND, A_SAMPLE = 0.001, 1 / 48000


VARIANTS = tuple(itertools.product(RATES, (0, 2), OFFSETS))
_STRIDE = 7  # no divisor of their number: each encoder begins elsewhere


def recipes(muxer):
    """One for each encoder: rates, B-frames and offsets in turn."""
    _, sound = MUXERS[muxer]
    start = list(MUXERS).index(muxer)
    for number, encoder in enumerate(ENCODERS):
        variant = (start + _STRIDE * number) % len(VARIANTS)
        rate, b_frames, (video_offset, sound_offset) = VARIANTS[variant]
        kept = b_frames if encoder in REORDERING else None
        size = SIZES.get(encoder, "64x48")
        rate = FIXED_RATES.get(encoder, rate)
        if muxer == "avi" and encoder in REORDERING:
            video_offset = 0  # FFmpeg writes the first picture at zero, and a pause behind it
        yield Recipe(encoder, muxer, sound, rate, kept, video_offset, sound_offset, size)


@pytest.mark.skipif(not HAS_FFMPEG, reason="ffmpeg and ffprobe are not installed")
@pytest.mark.parametrize("muxer", MUXERS)
def test_times_as_a_second_reader_sees_them(tmp_path, muxer, record_property):
    source = tmp_path / f"in.{MUXERS[muxer][0]}"
    differences, compared = [], 0
    for recipe in recipes(muxer):
        if not generate(source, recipe):
            continue
        original = None
        for suffix, options in TARGETS:
            target = tmp_path / f"out{suffix}"
            try:
                enhance_video(
                    source, target, "identity", overwrite=True, interlaced="fields", **options
                )
            except VideoError:
                continue  # said, not silent
            compared += 1
            original = original or read(source)
            found = compare(original, read(target), recipe.rate, suffix)
            case = (recipe.encoder, str(recipe.rate), suffix, options["codec"])
            differences += [(*case, each) for each in found]
    record_property("compared", compared)
    assert compared
    assert differences == []


def compare(source, target, rate, suffix):
    """Sentences about what differs."""
    tolerance = MILLISECOND if suffix == ".mkv" else A_SAMPLE
    if len(source.frames) != len(target.frames):
        yield f"{len(source.frames)} frames became {len(target.frames)}"
        return
    expected = source.frames
    if None in expected:  # as in AVI, whose frames follow one another at the rate
        expected = tuple(target.frames[0] + float(n / rate) for n in range(len(target.frames)))
    for number, (before, after) in enumerate(zip(expected, target.frames, strict=True)):
        if abs(before - after) > tolerance:
            yield f"frame {number} is shown at {after} instead of {before}"
            return
    if len(source.tracks) != len(target.tracks):
        yield f"{len(source.tracks)} tracks became {len(target.tracks)}"
        return
    for before, after in zip(source.tracks, target.tracks, strict=True):
        if before.size != after.size:
            yield f"{before.size} bytes of sound became {after.size}"
        ends = (
            ("first", "last") if before.packets == after.packets else ("first",)
        )  # PCM is cut anew
        for end in ends:
            times = getattr(before, end), getattr(after, end)
            if None not in times and abs(times[0] - times[1]) > tolerance:
                yield f"the {end} packet of sound is at {times[1]} instead of {times[0]}"
