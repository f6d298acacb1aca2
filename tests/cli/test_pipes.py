"""vqe-fast enhance with standard input and output."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.media import read_frames, read_packets, write_clip
from support.processes import PATIENCE, wait_for
from vqe_fast.cli.app import app

START = "from vqe_fast.cli.app import main; main()"


def command(*arguments):
    enhance = [sys.executable, "-P", "-c", START, "enhance", "--model", "identity"]
    return [*enhance, *map(str, arguments)]


def run(*arguments, **options):
    return subprocess.run(command(*arguments), capture_output=True, timeout=PATIENCE, **options)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """An mp4 with its index at the end, which a reader that cannot seek does not find."""
    return write_clip(tmp_path_factory.mktemp("clip") / "in.mp4", frames=6, audio=("aac",))


@pytest.fixture(autouse=True)
def temporary_files(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    assert not [path for path in folder.iterdir() if path.name.startswith("vqe-fast")]


def test_from_input_to_output(clip, tmp_path):
    """The bytes alone on stdout; what is said goes to stderr."""
    result = run("-", "-", "--format", "mp4", "--codec", "ffv1", input=clip.read_bytes())
    assert result.returncode == 0, result.stderr
    assert result.stderr.decode().startswith("-: 6 frames in ")
    target = tmp_path / "out.mp4"
    target.write_bytes(result.stdout)
    pairs = zip(read_frames(clip), read_frames(target), strict=True)
    assert all((a == b).all() for (_, x), (_, y) in pairs for a, b in zip(x, y, strict=True))
    assert read_packets(target, "audio") == read_packets(clip, "audio")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-",), "give the --format, one of mp4, mov, mkv, webm"),
        (("-", "--format", "avi"), "give the --format, one of mp4, mov, mkv, webm"),
        (("out.mp4", "--format", "mkv"), "a format is for standard output"),
        (("-", "--format", "webm"), ".webm does not hold libx264"),
    ],
)
def test_refused_targets(clip, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(CliRunner().invoke(app, ["enhance", str(clip), *arguments]), words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "standard input is empty"), (b"no video" * 99, "standard input is not a video")],
)
def test_refused_input(tmp_path, data, words):
    arguments = ["enhance", "-", str(tmp_path / "out.mp4"), "--model", "identity"]
    assert_refused(CliRunner().invoke(app, arguments, input=data), words, code=3)
    assert list(tmp_path.iterdir()) == []


def assert_refused(result, words, code=2):
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("vqe-fast: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


def test_the_reader_is_gone(clip):
    process = subprocess.Popen(
        command(clip, "-", "--format", "mkv", "--quiet"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    error = process.stderr.read().decode()
    assert process.wait(timeout=PATIENCE) == 2
    assert error == "vqe-fast: the program that was to take standard output is gone\n"


def test_interrupted_while_reading(tmp_path):
    process = subprocess.Popen(
        command("-", tmp_path / "out.mp4"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(bytes(100_000))
    process.stdin.flush()
    wait_for(lambda: waits_for_input(process.pid), process)
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, b"")
    assert error.decode().count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def waits_for_input(pid):
    """Whether the temporary file of the process is open, that is, standard input is being read."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except FileNotFoundError:
            continue
    return any("vqe-fast-" in link for link in links)
