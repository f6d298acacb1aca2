"""What is told before the work: vqe-fast enhance --estimate, and the line of a long run."""

import json
import re

import pytest
from typer.testing import CliRunner

from support.media import write_clip
from vqe_fast.cli import foretelling as module
from vqe_fast.cli.app import app
from vqe_fast.cli.foretelling import foretelling
from vqe_fast.video import VideoError, enhance_video, estimate_video

IDENTITY = ("--model", "identity", "--preset", "ultrafast")
OPTIONS = {
    "model": "carcnn_small",
    "segment_seconds": None,
    "workers": 1,
    "resume": False,
    "frames": None,
    "start": 0.0,
}


def run(*arguments):
    return CliRunner().invoke(app, ["enhance", *map(str, arguments), *IDENTITY])


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=60, audio=("aac",))


def test_one_file(clip, tmp_path):
    result = run(clip, "--estimate", "--report", tmp_path / "report.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(
        rf"{re.escape(str(clip))}: about \d+ seconds for 60 frames of 64x48 \([\d.]+ \S+\), "
        r"[\d.]+ kB → about [\d.]+ kB, identity in \w+ on \w+\n",
        result.stdout,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "report.json"]
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["frames"], told["width"]) == (60, 64)
    assert told["target"] == str(tmp_path / "in.enhanced.mp4")
    assert told["seconds"] == pytest.approx(60 / told["fps"])


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_the_size_is_near(tmp_path, codec):
    """Of a clip that is tried as a whole; other streams count."""
    source = write_clip(tmp_path / "in.mkv", frames=60, audio=("aac",))
    told = estimate_video(source, tmp_path / "out.mkv", "identity", codec=codec)
    done = enhance_video(source, tmp_path / "out.mkv", "identity", codec=codec)
    assert told.target_bytes == pytest.approx(done.target_bytes, rel=0.3)
    assert told.source_bytes == done.source_bytes


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("model", ["identity", "dualres_t"])
def test_short_videos(tmp_path, frames, model):
    clip = write_clip(tmp_path / "in.mkv", frames=frames)
    told = estimate_video(clip, None, model)
    assert told.frames == frames and told.fps > 0
    limited = estimate_video(clip, None, model, frames=1)
    assert limited.frames == 1


def test_a_folder(clip, tmp_path):
    write_clip(tmp_path / "sub.mkv", frames=9)
    (tmp_path / "bad.mp4").write_text("no video")
    result = run(tmp_path, tmp_path / "out", "--estimate", "--report", "-")
    assert result.exit_code == 3
    lines = result.stderr.splitlines()
    assert max(len(line) for line in lines if not line.startswith("  ")) <= 80
    assert lines[0].split() == ["file", "frames", "size", "rate", "time", "output"]
    assert lines[-1].split()[:3] == ["all", "2", "69"]
    assert any("bad.mp4" in line and line.endswith("refused") for line in lines)
    rows = {row["source"].rpartition("/")[2]: row for row in json.loads(result.stdout)}
    assert "is not a video" in rows["bad.mp4"]["error"] and rows["sub.mkv"]["frames"] == 9
    assert not (tmp_path / "out").exists()


def test_what_would_be_refused_is(clip, tmp_path):
    piped = run("-", tmp_path / "out.mkv", "--estimate")
    assert piped.exit_code == 2 and "an estimate is of files" in piped.stderr
    with pytest.raises(VideoError, match=r"\.webm does not hold libx264"):
        estimate_video(clip, tmp_path / "out.webm", "identity")


class Heard:
    """Progress that remembers."""

    def __init__(self):
        self.said, self.shown = [], []

    def __call__(self, done, total):
        self.shown.append((done, total))

    def say(self, text):
        self.said.append(text)


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        ({}, "Ctrl-C ends it, --segment-seconds 30 would keep parts"),
        ({"frames": 900}, "Ctrl-C ends it"),
        ({"workers": 2}, "Ctrl-C keeps finished segments"),
    ],
)
def test_a_long_run_is_foretold_once(clip, monkeypatch, asked, advice):
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    heard = Heard()
    show = foretelling(heard, clip, OPTIONS | asked)
    for done in range(1, 40):
        show(done, 900)
        now += 0.8
    sentence = f"about 12 minutes for 899 frames of 64x48 with carcnn_small; {advice}"
    assert heard.said == [sentence]
    assert len(heard.shown) == 39


def test_a_short_run_is_not(clip, monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    heard = Heard()
    show = foretelling(heard, clip, OPTIONS)
    for done in range(1, 40):
        show(done, 60)
        now += 0.8
    assert heard.said == []
    assert foretelling(None, clip, OPTIONS) is None
