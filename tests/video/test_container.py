"""--container auto: another suffix where the container that was asked for cannot hold all."""

import json
from fractions import Fraction

import pytest
from typer.testing import CliRunner

from support.media import read_frames, write_clip
from vqe_fast.cli.app import app
from vqe_fast.video import VideoError, enhance_video, estimate_video
from vqe_fast.video.segments import join_task

PLAIN = {"size": (64, 48), "frames": 6}
STEREO = {
    "codec": "mpeg4",
    "time_base": Fraction(1, 25),
    "audio": ("pcm_s16le",),
    "layout": "stereo",
    "frames": 6,
}
"""Of AVI: sound that .mp4 does not hold, and .mov does."""


def run(*arguments):
    words = ("enhance", "--model", "identity", "--preset", "ultrafast", *arguments)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def stereo(tmp_path):
    return write_clip(tmp_path / "in.avi", **STEREO)


def test_another_suffix(stereo, tmp_path):
    with pytest.raises(VideoError, match=r"\.mp4 cannot carry .*; write to \.mov or \.mkv instead"):
        enhance_video(stereo, tmp_path / "my.out.mp4", "identity")
    report = enhance_video(stereo, tmp_path / "my.out.mp4", "identity", container="auto")
    assert report.target == str(tmp_path / "my.out.mov")
    assert report.target_bytes == (tmp_path / "my.out.mov").stat().st_size
    assert not (tmp_path / "my.out.mp4").exists()
    assert len(read_frames(report.target)) == 6


@pytest.mark.parametrize(
    ("asked", "codec", "written"),
    [
        ("out.mp4", "libx264", "out.mp4"),
        ("out.MKV", "libx264", "out.MKV"),
        ("out.webm", "libx264", "out.mp4"),
        ("out.mov", "libsvtav1", "out.mp4"),
        ("out.mov", "ffv1", "out.mp4"),
        ("out.mp4", "libvpx-vp9", "out.mp4"),
    ],
)
def test_the_first_that_can(tmp_path, asked, codec, written):
    source = write_clip(tmp_path / "in.mkv", **PLAIN)
    found = estimate_video(source, tmp_path / asked, "identity", codec=codec, container="auto")
    assert found.target == str(tmp_path / written)


def test_none_can(tmp_path):
    """It is refused as without the option, and nothing is written."""
    untagged = {"pixel_format": "yuv422p", "size": (256, 128), "frames": 2}
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", **untagged)
    sentences = []
    for container in ("given", "auto"):
        with pytest.raises(VideoError, match="would lose the source's colour matrix") as refusal:
            enhance_video(
                source, tmp_path / "out.mov", "identity", codec="dnxhd", container=container
            )
        sentences.append(str(refusal.value))
    assert sentences[0] == sentences[1]
    with pytest.raises(VideoError, match="does not say which container"):
        enhance_video(source, tmp_path / "out.xyz", "identity", container="auto")
    with pytest.raises(VideoError, match="given or auto, got 'mkv'"):
        enhance_video(source, tmp_path / "out.mp4", "identity", container="mkv")
    assert list(tmp_path.iterdir()) == [source]


def test_one_that_is_there(stereo, tmp_path):
    """The name that is written counts, not the one that was asked for."""
    (asked := tmp_path / "out.mp4").write_text("another's")
    (there := tmp_path / "out.mov").write_text("mine")
    refused = run(stereo, asked, "--container", "auto")
    assert refused.exit_code == 2 and f"{there} exists already" in refused.stderr
    done = run(stereo, asked, "--container", "auto", "--overwrite", "--report", tmp_path / "r.json")
    assert done.exit_code == 0 and done.stdout.startswith(f"{there}: 6 frames")
    assert json.loads((tmp_path / "r.json").read_text())["target"] == str(there)
    assert asked.read_text() == "another's" and len(read_frames(there)) == 6


def test_an_estimate(stereo, tmp_path):
    result = run(stereo, tmp_path / "out.mp4", "--container", "auto", "--estimate")
    assert result.stdout.rstrip().endswith(f"written to {tmp_path / 'out.mov'}")
    assert list(tmp_path.iterdir()) == [stereo]


def test_standard_output(stereo):
    result = run(stereo, "-", "--format", "mp4", "--container", "auto")
    assert result.exit_code == 2 and "leave --container out" in result.stderr


def test_a_directory(tmp_path):
    """Each file gets what it needs; two are never written to one name."""
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "b.mov"):
        write_clip(folder / name, **PLAIN)
    write_clip(folder / "c.mp4", **STEREO | {"muxer": "avi"})
    write_clip(folder / "d.mp4", **STEREO | {"muxer": "avi"})
    write_clip(folder / "d.mov", **PLAIN)
    words = (folder, target, "--container", "auto", "--report", tmp_path / "r.json")
    result = run(*words)
    said = " ".join(result.stdout.split())
    assert result.exit_code == 2
    assert f"would both be written to {target / 'd.mov'}" in said
    assert f".mp4 cannot hold all of {folder / 'c.mp4'}: written to {target / 'c.mov'}" in said
    written = ["a.mp4", "b.mov", "b.mp4", "c.mov", "d.mov"]
    assert sorted(path.name for path in target.iterdir()) == written
    rows = json.loads((tmp_path / "r.json").read_text())
    targets = {row["source"]: row["target"] for row in rows if "error" not in row}
    assert targets[str(folder / "c.mp4")] == str(target / "c.mov")
    again = run(*words, "--resume")
    said = again.stdout
    assert (said.count("was there"), said.count("done before")) == (3, 2)  # .mov, and others
    assert "would both be written" in " ".join(again.stdout.split())


def test_resumed(stereo, tmp_path, monkeypatch):
    """The parts belong to the name that is written, where the same command finds them."""
    asked, parts = tmp_path / "out.mp4", tmp_path / "out.mov.parts"
    options = {"container": "auto", "segment_seconds": 1.0}
    join = join_task.join_parts

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(join_task, "join_parts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        enhance_video(stereo, asked, "identity", **options)
    monkeypatch.setattr(join_task, "join_parts", join)
    assert parts.is_dir()
    with pytest.raises(VideoError, match=r"out\.mov\.parts holds what an interrupted run"):
        enhance_video(stereo, asked, "identity", **options)
    report = enhance_video(stereo, asked, "identity", resume=True, **options)
    assert report.resumed == report.segments and report.target == str(tmp_path / "out.mov")
    assert not parts.exists() and len(read_frames(report.target)) == 6
