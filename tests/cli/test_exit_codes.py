"""Exit codes: their table in the docs, what each command says of them, and who gets which."""

import json
import pickle
import re
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from support.media import write_clip
from vqe_fast.cli import enhance_file
from vqe_fast.cli.app import app
from vqe_fast.cli.exit_codes import ExitCode
from vqe_fast.models.identity import Identity
from vqe_fast.video import SourceError, VideoError, WorkerError

PAGE = Path(__file__).parents[2] / "docs" / "exit-codes.md"
COMMANDS = typer.main.get_command(app).commands
IDENTITY = ("--model", "identity")


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def table():
    """Code → what it is called, and the commands that have it; None for all."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|.*\| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)
    return {
        int(code): (end, None if of == "every command" else set(re.findall(r"`([\w-]+)`", of)))
        for code, end, of in rows
    }


def test_the_table():
    names = {int(code): code.name.lower().replace("_", " ") for code in ExitCode}
    assert {code: end for code, (end, _) in table().items()} == names


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_says(command):
    """Its help names the codes that the table has for it, or none at all."""
    said = re.search(r"Exit codes: (.*)", COMMANDS[command].help, re.DOTALL)
    codes = {int(code) for code in re.findall(r"\b(\d+)\s+[A-Za-z]", said[1])} if said else None
    of_it = {code for code, (_, of) in table().items() if of is None or command in of}
    listed = command in {name for _, of in table().values() for name in of or ()}
    assert codes == of_it if said else not listed


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", frames=3, size=(32, 32))


OPTIONS = [
    (("--crf", "99"), "takes a crf from"),
    (("--preset", "quick"), "has no preset"),
    (("--codec", "libx299"), "there is no encoder"),
    (("--model", "none_such"), "there is no model"),
    (("--qp", "30"), "takes none; leave it out"),
    (("--pix-fmt", "yuv17p"), "there is no pixel format"),
    (("--weights", "none.safetensors"), "none.safetensors"),
]


@pytest.mark.parametrize(("options", "words"), OPTIONS)
def test_refused_options(clip, tmp_path, options, words):
    words_of_model = () if "--model" in options or "--weights" in options else IDENTITY
    result = run("enhance", clip, tmp_path / "out.mkv", *words_of_model, *options)
    assert (result.exit_code, result.stdout) == (ExitCode.REFUSED_OPTIONS, "")
    assert words in result.stderr and result.stderr.count("\n") == 1


def test_options_come_before_the_source(tmp_path):
    """What no source could mend is said before one is looked for."""
    result = run("enhance", "none.mp4", tmp_path / "out.mkv", *IDENTITY, "--crf", "99")
    assert result.exit_code == ExitCode.REFUSED_OPTIONS and "takes a crf" in result.stderr


def test_outputs(clip, tmp_path):
    for target, words in [(clip, "is the source itself"), (tmp_path / "a.webm", "does not hold")]:
        result = run("enhance", clip, target, *IDENTITY, "--overwrite")
        assert result.exit_code == ExitCode.REFUSED_OPTIONS and words in result.stderr
    assert run("enhance", clip).exit_code == ExitCode.DONE
    assert run("enhance", clip).exit_code == ExitCode.REFUSED_OPTIONS


def interlaced(path):
    return write_clip(path, frames=3, size=(32, 32), options={"x264-params": "tff=1"})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "there is no file"),
        (lambda path: path.touch() or path, "is empty"),
        (lambda path: (path.write_text("no video\n" * 99), path)[1], "is not a video"),
        (interlaced, "is interlaced"),
    ],
)
@pytest.mark.parametrize("ways", [(), ("--segment-seconds", "1"), ("--estimate",)])
def test_refused_input(tmp_path, make, words, ways):
    source = make(tmp_path / "in.mp4")
    result = run("enhance", source, tmp_path / "out.mkv", *IDENTITY, *ways)
    assert (result.exit_code, result.stdout) == (ExitCode.REFUSED_INPUT, "")
    assert words in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("preview", "none.mp4"),
        ("inspect", "none.mp4"),
        ("compare", "none.mp4", "{clip}", "--output", "page.html"),
        ("enhance", "{empty}", "out", *IDENTITY),
    ],
)
def test_refused_input_of_other_commands(clip, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    places = {"clip": clip, "empty": tmp_path / "empty"}
    result = run(*(word.format(**places) for word in arguments))
    assert (result.exit_code, result.stdout) == (ExitCode.REFUSED_INPUT, "")


def test_the_gravest_counts(clip, tmp_path):
    """An output that exists is graver than nothing, a bad input graver than that."""
    target = tmp_path / "out"
    target.mkdir()
    (target / "in.mp4").touch()
    other = write_clip(tmp_path / "other.mp4", frames=3, size=(32, 32))
    two = ("enhance", clip, other, *IDENTITY)
    assert run(*two[:3], target, *IDENTITY).exit_code == ExitCode.REFUSED_OPTIONS
    bad = tmp_path / "bad.mp4"
    bad.touch()
    more = run("enhance", clip, other, bad, target, *IDENTITY, "--estimate")
    assert more.exit_code == ExitCode.REFUSED_INPUT


def test_workers_that_fail(clip, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise WorkerError("a worker was killed by signal 9 twice over segment 3; take fewer")

    monkeypatch.setattr(enhance_file, "enhance_video", fail)
    result = run("enhance", clip, tmp_path / "out.mkv", *IDENTITY)
    assert result.exit_code == ExitCode.WORKERS_FAILED
    assert result.stderr.endswith("twice over segment 3; take fewer\n")


def test_a_bug_in_a_worker(clip, tmp_path, monkeypatch):
    """The table has a sentence, the report the traceback."""
    other = write_clip(tmp_path / "other.mp4", frames=3, size=(32, 32))

    def forward(self, luma):
        raise RuntimeError("out of\ntune")

    monkeypatch.setattr(Identity, "forward", forward)
    report = tmp_path / "report.json"
    words = (tmp_path / "out/", *IDENTITY, "--segment-seconds", "1", "--precision", "fp32")
    result = run("enhance", clip, other, *words, "--report", report)
    assert (result.exit_code, result.stderr) == (ExitCode.WORKERS_FAILED, "")
    note = "a worker failed: RuntimeError: out of; --report and --log json have the traceback"
    assert " ".join(result.stdout.split()).count(note) == 2
    rows = json.loads(report.read_text())
    assert [row["error"] for row in rows] == [note.partition(";")[0]] * 2
    assert "line" in rows[0]["trace"] and rows[0]["trace"].endswith("out of\ntune\n")


def test_the_traceback_of_a_worker(clip, tmp_path, monkeypatch):
    """Below the sentence, where there is one file."""

    def fail(*_, **__):
        raise WorkerError("a worker failed: RuntimeError: out of tune", "Traceback\n  of a worker")

    monkeypatch.setattr(enhance_file, "enhance_video", fail)
    result = run("enhance", clip, tmp_path / "out.mkv", *IDENTITY)
    assert result.exit_code == ExitCode.WORKERS_FAILED
    assert result.stderr == (
        "vqe-fast: a worker failed: RuntimeError: out of tune\nTraceback\n  of a worker\n"
    )


@pytest.mark.parametrize("kind", [VideoError, SourceError, WorkerError])
def test_errors_can_be_sent(kind):
    """From a worker to whoever started it."""
    sent = pickle.loads(pickle.dumps(kind("one sentence")))
    assert type(sent) is kind and str(sent) == "one sentence"
    assert isinstance(sent, ValueError)
