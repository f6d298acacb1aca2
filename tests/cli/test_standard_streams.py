"""Standard streams that are closed, or whose encoding lacks characters."""

import json
import os
import subprocess
import sys

import pytest

from support.media import read_frames, write_clip
from support.processes import PATIENCE
from vqe_fast.cli.app import app

START = "from vqe_fast.cli.app import main; main()"
NOT_UTF8 = os.fsdecode(b"sch\xf6n")


def run(*arguments, closed=()):
    def close():
        for descriptor in closed:
            os.close(descriptor)

    return subprocess.run(
        [sys.executable, "-P", "-c", START, *map(str, arguments)],
        capture_output=True,
        preexec_fn=close,
        timeout=PATIENCE,
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / f"{NOT_UTF8}.mp4"
    return write_clip(path, frames=3, size=(32, 32))


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)])
def test_closed_streams(clip, tmp_path, closed):
    """A file that is opened must not get the place of standard error, where libraries write."""
    target = tmp_path / "out.mp4"
    done = run("enhance", clip, target, "--model", "identity", "--codec", "ffv1", closed=closed)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(read_frames(target)) == 3


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("stdin", ("enhance", "-", "out.mp4")),
        ("stdout", ("enhance", "{clip}", "-", "--format", "mkv")),
        ("stdout", ("enhance", "{clip}", "out.mp4", "--report", "-")),
        ("stdout", ("inspect", "{clip}", "--json", "-")),
    ],
)
def test_a_pipe_that_is_closed(clip, tmp_path, monkeypatch, capsys, name, arguments):
    """Python has None in the place of such a stream."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as end:
        app([word.format(clip=clip) for word in arguments])
    said = capsys.readouterr().err
    assert end.value.code == (3 if name == "stdin" else 2) and said.count("\n") == 1
    assert f"standard {name.removeprefix('std')}put is closed" in said
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_the_encoding_lacks(clip, tmp_path, encoding):
    """Commands print arrows, signs and names of files that are not text."""
    other, page = tmp_path / f"{NOT_UTF8}.mkv", tmp_path / f"{NOT_UTF8}.html"
    commands = [
        ("enhance", clip, other, "--model", "identity"),
        ("enhance", clip.parent, tmp_path / "out", "--model", "identity"),
        ("inspect", clip),
        ("compare", clip, other, "--output", page),
        ("models",),
        ("info",),
        ("--help",),
    ]
    code = (
        "import json, os, sys\n"
        "from vqe_fast.cli.app import app, prepare_streams\n"
        "prepare_streams()\n"
        "for words in json.load(sys.stdin):\n"
        "    print('\\n$', *words, flush=True)\n"
        "    app(words, standalone_mode=False)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=json.dumps([list(map(str, command)) for command in commands]).encode(),
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.split(b"\n$ ")
    assert len(said) == 1 + len(commands) and all(len(each.splitlines()) > 1 for each in said[1:])
    assert ("Δ".encode() in done.stdout) == (encoding == "utf-8")
    assert (b"dPSNR" in done.stdout) == (encoding != "utf-8")
    assert "sch\N{REPLACEMENT CHARACTER}n.mp4" in page.read_text("utf-8")


def test_names_go_out_as_they_are(clip, tmp_path):
    target = tmp_path / f"{NOT_UTF8}.mkv"
    options = ("--model", "identity", "--report", tmp_path / "report.json")
    result = run("enhance", clip, target, *options)
    assert result.stdout.startswith(os.fsencode(target))
    assert json.loads((tmp_path / "report.json").read_text())["target"] == str(target)


def test_an_error_of_the_system_that_nobody_foresaw():
    """The file is named; an error of ours still shows where it is."""
    code = "import vqe_fast.cli.app as p\ndef app():\n    {}\np.app = app\np.main()"
    for line, returned in (("open('/none/at/all')", 2), ("raise ValueError('a bug')", 1)):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code.format(line)], capture_output=True, text=True
        )
        assert done.returncode == returned
        assert ("Traceback" in done.stderr) == (returned == 1)
        if returned == 2:
            sentence = "/none/at/all cannot be read or written: No such file or directory"
            assert done.stderr == f"vqe-fast: {sentence}\n"
