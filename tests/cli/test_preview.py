"""vqe-fast preview, and enhance --start, which it uses."""

from fractions import Fraction

import av
import pytest
from typer.testing import CliRunner

from support.compared import data_of
from support.media import add_extras, read_frames, read_packets, write_clip
from vqe_fast import enhance_video
from vqe_fast.cli.app import app
from vqe_fast.video import VideoError

LOSSLESS = {"model": "identity", "codec": "ffv1"}


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.mark.parametrize("at", [0.3, 0.32, 0])
def test_preview(tmp_path, at):
    """Each frame is compared with itself: the excerpt begins where it was cut."""
    source = write_clip(tmp_path / "in.mp4", frames=40, audio=("aac",))
    options = ("--seconds", 0.2, "--model", "identity", "--crf", 0)
    result = run("preview", source, "--at", at, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    page = tmp_path / "in.preview.html"
    assert result.stdout.startswith(f"{page}: 5 frames matched by time, ")
    assert sorted(tmp_path.iterdir()) == [source, page]
    data = data_of(page)
    first = 0 if at == 0 else 8
    assert data["videos"][0]["numbers"] == list(range(first, first + 5))
    assert data["videos"][1]["numbers"] == list(range(5))
    assert data["curves"]["psnr"]["AB"] == ["inf"] * 5
    assert [video["name"] for video in data["videos"]] == ["in.mp4", "in.enhanced.mkv"]


def test_where_a_preview_is_by_itself(tmp_path):
    source = write_clip(tmp_path / "in.mp4", frames=30)
    assert run("preview", source, "--seconds", 0.1, "--model", "identity").exit_code == 0
    assert data_of(tmp_path / "in.preview.html")["videos"][0]["numbers"][0] == 10


def test_a_preview_of_what_matroska_does_not_hold(tmp_path):
    """Nobody asked for the container of the excerpt: it is one that takes the codec."""

    def tagged(_, video):
        context = video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1

    form = {"codec": "ffv1", "pixel_format": "yuv422p", "size": (256, 128), "frames": 6}
    source = write_clip(tmp_path / "in.mkv", prepare=tagged, **form)
    options = ("--model", "identity", "--codec", "dnxhd")
    result = run("preview", source, "--at", 0, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert data_of(tmp_path / "in.preview.html")["videos"][1]["name"] == "in.enhanced.mov"


def test_refused_previews(tmp_path):
    source = write_clip(tmp_path / "in.mp4", frames=5)
    for arguments, code, words in (
        ((tmp_path / "none.mp4",), 3, "there is no file"),
        ((source, "--at", 9), 2, "the video has no frame 9 seconds after its first one"),
    ):
        result = run("preview", *arguments, "--model", "identity")
        assert (result.exit_code, result.stdout) == (code, "") and words in result.stderr
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("start", [0.4, Fraction(2, 5), 0.361])
def test_all_streams_begin_at_the_start(tmp_path, start):
    """Times begin at 0, in step; chapters, which no longer fit, are left out."""
    source = write_clip(tmp_path / "in.mkv", frames=30, audio=("aac", "flac"), prepare=add_extras)
    target = tmp_path / "out.mkv"
    report = enhance_video(source, target, start=float(start), frames=12, **LOSSLESS)
    assert report.frames_out == 12
    before, after = read_frames(source), read_frames(target)
    cut = before[10][0]
    for (was, x), (now, y) in zip(before[10:22], after, strict=True):
        assert now == pytest.approx(was - cut, abs=0.001)
        assert all((a == b).all() for a, b in zip(x, y, strict=True))
    for sound, kept in zip(
        read_packets(source, "audio"), read_packets(target, "audio"), strict=True
    ):
        there = [packet for packet in sound if cut <= packet[0] < before[22][0]]
        assert [packet[2] for packet in kept] == [packet[2] for packet in there]
        for was, now in zip(there, kept, strict=True):
            assert float(now[0]) == pytest.approx(float(was[0] - cut), abs=0.002)
    with av.open(str(target)) as container:
        assert container.chapters() == []
        assert {stream.type for stream in container.streams} >= {"subtitle", "attachment"}


def test_cover_art_stays(tmp_path):
    """It has no time of its own."""
    source = write_clip(tmp_path / "in.mkv", frames=20, audio=("aac", "aac"), prepare=add_extras)
    whole = tmp_path / "whole.mkv"
    enhance_video(source, whole, **LOSSLESS)
    part = tmp_path / "part.mkv"
    enhance_video(source, part, start=0.4, **LOSSLESS)
    for path in (whole, part):
        with av.open(str(path)) as container:
            kinds = [stream.type for stream in container.streams]
        assert kinds == kinds_of(source)


def kinds_of(path):
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": -1.0}, "from 0 on, got -1"),
        ({"start": float("nan")}, "from 0 on, got nan"),
        ({"start": 0.2, "resume": True}, "for one pass"),
        ({"start": 0.2, "target_size": "1MB"}, "that of a whole video"),
        ({"start": 9.0}, "no frame 9 seconds after its first one"),
    ],
)
def test_starts_that_are_refused(tmp_path, options, words):
    source = write_clip(tmp_path / "in.mkv", frames=9)
    codec = {} if "target_size" in options else {"codec": "ffv1"}
    with pytest.raises(VideoError, match=words):
        enhance_video(source, tmp_path / "out.mkv", "identity", **codec, **options)
    assert list(tmp_path.iterdir()) == [source]
