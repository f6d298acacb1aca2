"""Damaged files: never another error than a sentence, never a hang, never a frame lost."""

import random
import re
import threading
from dataclasses import replace
from fractions import Fraction
from functools import partial

import av
import pytest
import torch

from support.media import write_clip
from support.modules import LUMA_SPEC, Blend
from vqe_fast.models import create_model
from vqe_fast.video import VideoError, enhance_video

CASES = 50
LONGEST = 60
"""Seconds after which a case counts as hanging; one takes a few hundredths."""

CLIPS = {
    "h264.mp4": {"audio": ("aac",), "options": {"bf": "2"}},
    "h264.mkv": {"audio": ("aac", "pcm_s16le"), "options": {"g": "4"}},
    "h264.ts": {"audio": ("aac",), "options": {"g": "4"}, "time_base": Fraction(1, 90000)},
    "h264.h264": {"options": {"slices": "2"}},
    "hevc.mp4": {
        "codec": "libx265",
        "pixel_format": "yuv420p10le",
        "options": {"x265-params": "log-level=none:keyint=4"},
    },
    "hevc.hevc": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "vp9.webm": {"codec": "libvpx-vp9", "audio": ("libopus",), "options": {"cpu-used": "8"}},
    "av1.mp4": {"codec": "libsvtav1", "size": (64, 64), "options": {"preset": "12"}},
    "ffv1.mkv": {"codec": "ffv1", "pixel_format": "yuv422p10le", "options": {"g": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "time_base": Fraction(1, 25), "audio": ("mp3",)},
    "mpeg2.mpg": {"codec": "mpeg2video", "time_base": Fraction(1, 25), "audio": ("mp2",)},
    "prores.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le", "audio": ("pcm_s16le",)},
    "tff.mkv": {"scan": "tff", "size": (64, 64), "options": {"flags": "+ilme+ildct"}},
    "mjpeg.mov": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
}
"""Name of the file → what to write: each codec and container, small."""

MODELS = (create_model("identity"), Blend(1.0, 2.0, 1.0, spec=replace(LUMA_SPEC, planes="rgb")))
"""In turn: the shortest way through the engine, and the longest."""

REFUSALS = (
    "no frame of .* could be decoded",
    "is not a video",
    "is empty",
    "has no video stream",
    "video codec that this FFmpeg cannot decode",
    "changes from .* at frame",
    "is interlaced",
    "would lose",
    "no plane of luma",
    "does not take",
    "does not open for",
    "cannot carry stream",
    "cannot be opened",
    "frames could be written to .* other streams of the source are damaged",
)
"""Damage may turn a file into one that is refused."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {
        name: write_clip(folder / name, frames=8, **options).read_bytes()
        for name, options in CLIPS.items()
    }


@pytest.mark.parametrize("name", CLIPS)
def test_damaged_files(clips, tmp_path, name):
    whole = clips[name]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for seed in range(CASES):
            path = tmp_path / name
            path.write_bytes(damaged(whole, random.Random(f"{name} {seed}")))
            run = partial(check, path, tmp_path / "out.mkv", MODELS[seed % len(MODELS)])
            within(LONGEST, run, f"seed {seed}")
    finally:
        torch.set_num_threads(threads)


def damaged(data, chance):
    """Some bytes flipped anywhere or near the beginning, a stretch lost, or the end missing."""
    data = bytearray(data)
    kind = chance.choice(("flips", "flips", "header", "hole", "end"))
    if kind == "end":
        return bytes(data[: chance.randrange(1, len(data))])
    if kind == "hole":
        start = chance.randrange(len(data))
        del data[start : start + chance.randrange(1, 400)]
        return bytes(data)
    reach = min(len(data), 700) if kind == "header" else len(data)
    for _ in range(chance.choice((1, 3, 30))):
        data[chance.randrange(reach)] ^= 1 << chance.randrange(8)
    return bytes(data)


def within(seconds, function, label):
    """Runs ``function`` in a thread that is given up when it hangs."""
    outcome = []

    def run():
        try:
            function()
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"{label} hangs"
    if outcome[0] is not None:
        raise AssertionError(label) from outcome[0]


def check(source, target, model):
    """Fails unless what decodes is enhanced, or the file is refused for a good reason."""
    decoded = plainly_decoded(source)
    before = set(source.parent.iterdir())
    try:
        report = enhance_video(source, target, model, codec="ffv1", interlaced="fields")
    except VideoError as error:
        sentence = str(error)
        assert "\n" not in sentence
        assert any(re.search(pattern, sentence) for pattern in REFUSALS), sentence
        assert decoded == 0 or not re.search("|".join(REFUSALS[:4]), sentence), sentence
        assert set(source.parent.iterdir()) == before
        return
    assert report.frames_in == report.frames_out == decoded
    assert plainly_decoded(target) == decoded
    target.unlink()


def plainly_decoded(path):
    """How many frames PyAV gives if errors are passed over."""
    frames = 0
    try:
        container = av.open(str(path), metadata_errors="surrogateescape")
    except av.error.FFmpegError:
        return 0
    with container:
        if not container.streams.video:
            return 0
        stream = container.streams.video[0]
        stream.thread_count = 1  # with more, PyAV loses the frames that follow the last error
        try:
            for packet in container.demux(stream):
                if packet.size:
                    frames += decoded_by(stream, packet)
        except av.error.FFmpegError:
            pass
        return frames + decoded_by(stream, None)


def decoded_by(stream, packet):
    try:
        return len(stream.decode(packet))
    except av.error.FFmpegError:
        return 0
