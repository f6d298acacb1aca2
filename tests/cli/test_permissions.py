"""What cannot be read or written is said in one sentence, and nothing is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from support.media import write_clip
from support.unprivileged import obeying_permissions
from vqe_fast._atomic_write import atomic_write, draft_name
from vqe_fast.cli.app import app
from vqe_fast.video.segments.parts_folder import parts_path

START = "from vqe_fast.cli.app import main; main()"
IDENTITY = ("--model", "identity")


def run(*arguments):
    with obeying_permissions():
        return CliRunner().invoke(app, [str(each) for each in arguments])


def assert_refused(result, *words, code=2):
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert_sentence(result.stderr, *words)


def assert_sentence(text, *words):
    assert text.startswith("vqe-fast: ") and text.count("\n") == 1
    for word in words:
        assert word in text


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=3, size=(32, 32))


@pytest.fixture
def folder(tmp_path):
    """A function that makes a folder with a clip, of some mode; all can be deleted at the end."""
    made = []

    def make(mode):
        path = tmp_path / f"mode-{mode:o}"
        path.mkdir()
        write_clip(path / "clip.mp4", frames=3, size=(32, 32))
        path.chmod(mode)
        made.append(path)
        return path

    yield make
    for path in made:
        path.chmod(0o700)


@pytest.mark.parametrize("segments", [(), ("--segment-seconds", "1")])
def test_a_folder_that_cannot_be_written(clip, folder, segments):
    target = folder(0o555) / "out.mp4"
    result = run("enhance", clip, target, *IDENTITY, *segments)
    assert_refused(result, "out.mp4 cannot be written: Permission denied")
    assert os.listdir(target.parent) == ["clip.mp4"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("enhance", "{there}", "{here}/out.mp4", *IDENTITY),
        ("enhance", "{clip}", "{closed}/out.mp4", *IDENTITY),
        ("enhance", "{clip}", "{closed}/out.mp4", *IDENTITY, "--resume"),
        ("enhance", "{clip}", "{closed}/deep/out.mp4", *IDENTITY),
        ("enhance", "{clip}", "{here}/out.mp4", *IDENTITY, "--report", "{closed}/report.json"),
        ("enhance", "{clip}", "{here}/out.mp4", "--weights", "{closed}/some.safetensors"),
        ("inspect", "{there}"),
        ("inspect", "{clip}", "--json", "{closed}/frames.json"),
        ("compare", "{there}", "{clip}", "--output", "{here}/page.html"),
        ("compare", "{clip}", "{clip}", "--output", "{closed}/page.html"),
    ],
)
def test_a_folder_that_cannot_be_entered(clip, folder, tmp_path, arguments):
    closed = folder(0o644)
    before = sorted(tmp_path.iterdir())
    places = {"clip": clip, "closed": closed, "there": closed / "clip.mp4", "here": tmp_path}
    result = run(*(word.format(**places) for word in arguments))
    code = 3 if "{there}" in arguments else 2
    assert_refused(result, str(closed), "Permission denied", code=code)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_cannot_be_read(clip, tmp_path):
    clip.chmod(0)
    for words in (("enhance", clip, tmp_path / "out.mp4"), ("inspect", clip)):
        assert_refused(run(*words), "in.mp4 cannot be opened: Permission denied", code=3)


def test_folders_that_cannot_be_read_are_named(folder, tmp_path, monkeypatch):
    """Walking a tree passes over them in silence."""
    monkeypatch.chdir(tmp_path)
    folder(0o300)
    folder(0o644)
    write_clip(tmp_path / "good.mp4", frames=3, size=(32, 32))
    result = run("enhance", ".", "out", *IDENTITY)
    told = " ".join(result.stdout.split())
    assert (result.exit_code, result.stderr) == (3, "")
    assert "the directory mode-300 cannot be read: Permission denied" in told
    assert "mode-644/clip.mp4 cannot be opened: Permission denied" in told
    assert [path.name for path in Path("out").rglob("*.*")] == ["good.mp4"]
    alone = run("enhance", "mode-300", "out", *IDENTITY)
    assert (alone.exit_code, alone.stderr) == (3, "")
    assert "cannot be read" in " ".join(alone.stdout.split())


@pytest.mark.parametrize("segments", [(), ("--segment-seconds", "1")])
def test_a_disk_that_is_read_only(clip, tmp_path, segments):
    """There even deleting a file that was never made is refused."""
    folder = tmp_path / "disk"
    folder.mkdir()
    script = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    tried = ["unshare", "--mount", "sh", "-c", script, folder]
    try:
        subprocess.run([*tried, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted: {error}")
    command = [*tried, sys.executable, "-P", "-c", START, "enhance", clip, folder / "out.mp4"]
    done = subprocess.run([*command, *IDENTITY, *segments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert_sentence(done.stderr, "out.mp4 cannot be written: Read-only file system")


@pytest.mark.parametrize("letter", ["n", "ü", "語"])
@pytest.mark.parametrize("segments", [(), ("--segment-seconds", "1")])
def test_the_longest_names(clip, tmp_path, letter, segments):
    """255 bytes are taken; what is beside the output meanwhile has a longer name by itself."""
    length = 251 // len(letter.encode())
    target = tmp_path / f"{letter * length}{'n' * (251 - length * len(letter.encode()))}.mp4"
    assert run("enhance", clip, target, *IDENTITY, *segments).exit_code == 0
    assert sorted(tmp_path.iterdir()) == [clip, target]
    longer = run("enhance", clip, tmp_path / f"n{target.name}", *IDENTITY, *segments)
    assert_refused(longer, "cannot be written: File name too long")


def test_names_of_what_is_unfinished(tmp_path):
    longest = [tmp_path / f"{'ü' * 125}{end}.mp4" for end in "ab"]
    names = [parts_path(path).name for path in longest]
    assert len(set(names)) == 2 and all(name.endswith(".parts") for name in names)
    assert all(len(name.encode()) <= 255 for name in names)
    assert parts_path(tmp_path / "out.mp4").name == "out.mp4.parts"
    assert len(draft_name(tmp_path / f"a.{'语' * 84}").encode()) <= 255
    target = tmp_path / f"report.{'j' * 248}"
    with atomic_write(target) as draft:
        draft.write_text("done")
    assert target.read_text() == "done"
