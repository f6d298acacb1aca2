"""Two runs of vqe-fast enhance --resume side by side: neither calls it a failure."""

import json
import os
import platform

import pytest
from typer.testing import CliRunner

from support.media import write_clip
from vqe_fast.cli.app import app
from vqe_fast.video.segments.parts_lock import hold_parts

HOLDER = f"process {os.getpid()} on {platform.node()}"


def run(*arguments):
    words = ("enhance", "--model", "identity", "--preset", "ultrafast", *arguments)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in ("a.mkv", "b.mkv"):
        write_clip(folder / name, frames=3, size=(32, 32))
    (tmp_path / "out").mkdir()
    return folder


def test_of_several_files(archive, tmp_path):
    """The one that another run has is left to it, the other is done."""
    with hold_parts(tmp_path / "out" / "a.mkv"):
        result = run(archive, tmp_path / "out", "--resume", "--report", tmp_path / "report.json")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split()[-1] for line in result.stdout.splitlines() if line[0] != " "]
    assert rows == ["result", "skipped", "done"]
    assert f"{HOLDER} is working in" in " ".join(result.stdout.split())
    held, done = json.loads((tmp_path / "report.json").read_text())
    assert HOLDER in held["skipped"] and "error" not in held and done["frames_out"] == 3


def test_of_one_file(archive, tmp_path):
    target = tmp_path / "out" / "a.mkv"
    with hold_parts(target):
        result = run(archive / "a.mkv", target, "--resume", "--report", tmp_path / "report.json")
        quiet = run(archive / "a.mkv", target, "--resume", "--quiet")
    said = f"{HOLDER} is working in {target}.parts; wait for its end"
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{archive / 'a.mkv'}: skipped, {said}\n"
    assert json.loads((tmp_path / "report.json").read_text())["skipped"] == said
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert not target.exists()


def test_without_resume_it_is_refused(archive, tmp_path):
    target = tmp_path / "out" / "a.mkv"
    with hold_parts(target):
        result = run(archive / "a.mkv", target, "--segment-seconds", "1")
    assert (result.exit_code, result.stdout) == (2, "")
