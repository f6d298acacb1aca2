"""Refusals: whoever follows the advice of each arrives, and never where they came from."""

import re
from fractions import Fraction

import pytest

from support.media import add_pictures, write_clip
from vqe_fast.video import VideoError
from vqe_fast.video.media.encoders import SOFTWARE
from vqe_fast.video.media.writer import VideoWriter
from vqe_fast.video.options import EncodeOptions, ModelOptions
from vqe_fast.video.session import EnhanceSession

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
MOST_STEPS = 3
LARGE = {"size": (256, 128), "frames": 2}


def font(container, _):
    container.add_attachment("font.ttf", "application/x-truetype-font", b"not a font")


def odd_matrix(_, video):
    video.codec_context.colorspace = 8


def siting(_, video):
    video.codec_context.options["chroma_sample_location"] = "center"


def wide_pixels(_, video):
    video.codec_context.sample_aspect_ratio = Fraction(16, 11)


SOURCES = {
    "plain.mp4": {"audio": ("aac",), **LARGE},
    "font.mkv": {"audio": ("aac",), "prepare": font, **LARGE},
    "pictures.mkv": {"audio": ("ac3",), "prepare": add_pictures, **LARGE},
    "stereo.avi": {
        "codec": "mpeg4",
        "time_base": Fraction(1, 25),
        "audio": ("pcm_s16le",),
        "layout": "stereo",
        **LARGE,
    },
    "odd.mkv": {"codec": "ffv1", "size": (35, 27), "frames": 2},
    "444.mkv": {"codec": "ffv1", "pixel_format": "yuv444p", **LARGE},
    "matrix.mkv": {"codec": "ffv1", "prepare": odd_matrix, **LARGE},
    "siting.mkv": {"codec": "ffv1", "prepare": siting, **LARGE},
    "aspect.mp4": {"prepare": wide_pixels, **LARGE},
    "interlaced.mkv": {"codec": "ffv1", "scan": "tff", **LARGE},
}


@pytest.mark.parametrize("name", SOURCES)
def test_advice_leads_to_an_output(tmp_path, name):
    source = write_clip(tmp_path / name, **SOURCES[name])
    refusals = {}

    def refusal(suffix, codec):
        if (suffix, codec) not in refusals:
            refusals[suffix, codec] = refusal_of(source, tmp_path / f"out{suffix}", codec)
        return refusals[suffix, codec]

    def arrives(place, visited):
        """Whether each way that the advice at ``place`` names leads on, to an end without one."""
        sentence = refusal(*place)
        if sentence is None:
            return True
        ways = ways_of(sentence.replace(str(source), "it"), *place)
        if not ways:
            return "give another pix_fmt" in sentence  # of the same encoder, which is a way
        assert len(visited) < MOST_STEPS, visited
        assert not set(ways) & {*visited, place}, sentence
        return any(arrives(way, [*visited, place]) for way in ways)

    for suffix in SUFFIXES:
        for codec in SOFTWARE:
            assert arrives((suffix, codec), []), refusals[suffix, codec]
    assert any(refusals.values()) and not all(refusals.values())


def ways_of(sentence, suffix, codec):
    """The containers and encoders that a refusal names, together with what it leaves as it is."""
    words = re.split(r"[\s,;]+", sentence.partition("; ")[2])
    suffixes = [each for each in SUFFIXES if each in words]
    codecs = [each for each in SOFTWARE if each in words]
    if "with another codec" in sentence:
        codecs = list(SOFTWARE)
    if "and choose" in sentence or "with another codec" in sentence:
        return [(one, other) for one in suffixes for other in codecs]
    return [(each, codec) for each in suffixes] + [(suffix, each) for each in codecs]


def refusal_of(source, target, codec):
    """What is said before any work; None if the work would begin."""
    session = EnhanceSession(
        source,
        target,
        ModelOptions(model="identity", device="cpu", interlaced="fields"),
        EncodeOptions(codec=codec),
    )
    try:
        with session.open() as video:
            settings = session.settings(video)
            with VideoWriter(target, video, settings, with_chapters=True):
                return None
    except VideoError as error:
        return str(error)
