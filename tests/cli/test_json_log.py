"""``--log json``: whatever happens, each line of standard error is an event."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime

import pytest
from typer.testing import CliRunner

from support.media import damage_packet, write_clip
from support.processes import PATIENCE
from vqe_fast.cli import run_output
from vqe_fast.cli.app import app
from vqe_fast.models.identity import Identity
from vqe_fast.video import WorkerError, enhance_video
from vqe_fast.video.events import Advanced, FileDone, FileStarted

OPTIONS = ("--model", "identity", "--preset", "ultrafast", "--precision", "fp32")
TIMES = {"time", "seconds", "fps"}


def run(*arguments, log="json"):
    words = ("enhance", *OPTIONS, "--log", log, *arguments)
    return CliRunner().invoke(app, [str(word) for word in words])


def events_of(text):
    events = [json.loads(line) for line in text.splitlines()]
    assert all(datetime.fromisoformat(event["time"]).tzinfo for event in events)
    return events


def names(events):
    return [event["event"] for event in events]


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mkv", frames=6, size=(32, 32))


def test_one_pass(clip, tmp_path):
    target = tmp_path / "out.mkv"
    result = run(clip, target)
    events = events_of(result.stderr)
    assert result.exit_code == 0 and "6 frames in" in result.stdout
    assert names(events) == ["run_started", "file_started", "file_done", "run_done"]
    assert events[0]["inputs"] == [str(clip)] and events[0]["files"] == 1
    started, done = events[1:3]
    assert (started["file"], started["frames"], started["segments"]) == (str(clip), 6, None)
    assert started["worker"] == f"{started['node']}:{os.getpid()}"
    assert (done["file"], done["target"], done["frames"]) == (str(clip), str(target), 6)
    assert (done["result"], done["exit_code"], done["remarks"]) == ("done", 0, [])
    assert done["fps"] > 0 and done["seconds"] > 0
    assert events[3]["results"]["done"] == 1 and events[3]["exit_code"] == 0


def test_quiet(clip, tmp_path):
    result = run(clip, tmp_path / "out.mkv", "--quiet")
    assert result.stdout == ""
    assert names(events_of(result.stderr)) == ["file_done", "run_done"]


def test_damage(tmp_path):
    source = write_clip(tmp_path / "in.mkv", frames=6, size=(32, 32), codec="ffv1")
    damage_packet(source, 3)
    *_, done, end = events_of(run(source, tmp_path / "out.mkv").stderr)
    assert (done["result"], done["exit_code"], end["exit_code"]) == ("damaged", 1, 1)
    assert "is damaged" in done["remarks"][-1] and end["results"]["damaged"] == 1


def test_segments_of_two_workers(tmp_path):
    source = write_clip(tmp_path / "in.mkv", frames=75, size=(32, 32), options={"g": "25"})
    result = run(source, tmp_path / "out.mkv", "--segment-seconds", "1", "--workers", "2")
    events = [each for each in events_of(result.stderr) if each["event"] != "output"]
    segments = [event for event in events if event["event"] == "segment_done"]
    assert sorted(event["segment"] for event in segments) == [1, 2, 3]
    assert sum(event["frames"] for event in segments) == 75
    assert all(event["file"] == str(source) and event["seconds"] > 0 for event in segments)
    assert all(event["worker"] != f"{event['node']}:{os.getpid()}" for event in segments)
    assert (events[-1]["segments"], events[-1]["frames"], events[-1]["exit_code"]) == (3, 75, 0)


@pytest.mark.parametrize("ways", [(), ("--segment-seconds", "1")], ids=["one pass", "segments"])
def test_a_folder_with_a_broken_file(tmp_path, monkeypatch, ways):
    monkeypatch.setattr(run_output, "_PROGRESS_SECONDS", 0.0)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mkv", "b.mkv"):
        write_clip(folder / name, frames=6, size=(32, 32))
    (folder / "c.mkv").write_text("no video at all\n" * 9)
    result = run(folder, tmp_path / "out", *ways, "--report", "-")
    assert len(json.loads(result.stdout)) == 3  # and no table
    events = events_of(result.stderr)
    (refused,) = [event for event in events if event["event"] == "file_refused"]
    assert refused["file"] == str(folder / "c.mkv") and refused["exit_code"] == 3
    assert "is not a video" in refused["error"]
    last = [event for event in events if event["event"] == "progress"][-1]
    assert (last["files"], last["frames_done"], last["workers"]) == (3, 12, 1)
    end = events[-1]
    assert (names(events)[0], end["event"], end["exit_code"]) == ("run_started", "run_done", 3)
    assert end["results"] == {"done": 2, "damaged": 0, "skipped": 0, "refused": 1, "failed": 0}
    assert (end["files"], end["frames"]) == (3, 12)
    again = events_of(run(folder, tmp_path / "out", "--resume").stderr)
    assert names(again).count("file_skipped") == 2 and again[-1]["results"]["skipped"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--none-such",), "No such option: --none-such"),
        (("--crf", "many"), "Invalid value for '--crf'"),
        (("--quality", "fast"), "--quality stands for a model"),
        (("--shard", "1/2"), "a shard is of the files of a directory"),
        (("--metrics", "no/folder.prom"), "there is no directory"),
    ],
)
def test_refused_before_any_work(clip, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    result = run(clip, "out.mkv", *arguments)
    (event,) = events_of(result.stderr)
    assert (result.exit_code, event["event"], event["exit_code"]) == (2, "run_refused", 2)
    assert words in event["error"] and sorted(tmp_path.iterdir()) == [clip]


@pytest.mark.parametrize(
    ("source", "target", "code"), [("none.mkv", "out.mkv", 3), ("in.mkv", "in.mkv", 2)]
)
def test_a_file_that_is_refused(clip, tmp_path, source, target, code):
    result = run(tmp_path / source, tmp_path / target)
    _, refused, end = events_of(result.stderr)
    assert (refused["event"], refused["exit_code"]) == ("file_refused", code)
    assert (end["event"], end["exit_code"], result.exit_code) == ("run_done", code, code)
    assert refused["error"] == end["error"] and refused["target"] == str(tmp_path / target)


def test_a_bug_in_a_worker(clip, tmp_path, monkeypatch):
    """The sentence and the traceback are apart."""

    def forward(self, luma):
        raise RuntimeError("out of\ntune")

    monkeypatch.setattr(Identity, "forward", forward)
    other = write_clip(tmp_path / "other.mkv", frames=3, size=(32, 32))
    result = run(clip, other, tmp_path / "out/", "--segment-seconds", "1")
    failed = [event for event in events_of(result.stderr) if event["event"] == "file_failed"]
    assert result.exit_code == 4 and [event["exit_code"] for event in failed] == [4, 4]
    assert failed[0]["error"] == "a worker failed: RuntimeError: out of"
    assert failed[0]["trace"].endswith("RuntimeError: out of\ntune\n")
    alone = run(clip, tmp_path / "out.mkv")
    event = events_of(alone.stderr)[-1]
    assert (alone.exit_code, event["event"], event["exit_code"]) == (1, "run_failed", 1)
    assert event["error"] == "RuntimeError: out of" and "Traceback" in event["trace"]


def test_an_interruption(clip, tmp_path, monkeypatch):
    def forward(self, luma):
        signal.raise_signal(signal.SIGINT)
        return luma

    monkeypatch.setattr(Identity, "forward", forward)
    result = run(clip, tmp_path / "out.mkv")
    *_, event = events_of(result.stderr)
    assert (result.exit_code, event["event"], event["exit_code"]) == (130, "interrupted", 130)
    assert event["text"].startswith("interrupted, ") and event["frames"] == 0


def test_libraries_and_other_processes(tmp_path):
    """They write to the descriptor, past Python, whose warnings are taken, too."""
    script = """
import os, subprocess, sys, warnings
from vqe_fast.cli.json_log import json_log
with json_log(quiet=False) as log:
    os.write(2, b"Svt[info]: on\\xff\\nand on")
    os.write(2, b"\\n")
    subprocess.run(["sh", "-c", "echo a child >&2"])
    warnings.warn("it is late", stacklevel=3)
    print("no end", end="", file=sys.stderr)
    subprocess.Popen(["sleep", "1"])  # has the pipe open when this ends
    log.write("last")
print("in words", file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=PATIENCE
    )
    *lines, after = done.stderr.splitlines()
    events = events_of("\n".join(lines))
    said = [event["text"] for event in events if event["event"] == "output"]
    assert said[:3] == ["Svt[info]: on\udcff", "and on", "a child"]
    assert said[3].endswith("UserWarning: it is late") and said[-1] == "no end"
    assert names(events).count("last") == 1 and after == "in words" and done.returncode == 0


def test_a_signal_while_it_imports():
    script = """
import signal, sys
from vqe_fast.cli import app
sys.argv = ["vqe-fast", "enhance", "--log", "json"]
app.app = lambda: signal.raise_signal(signal.SIGTERM)
app.main()
"""
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    (event,) = events_of(done.stderr)
    assert (event["event"], event["exit_code"], done.returncode) == ("interrupted", 130, 130)


def test_events_of_one_pass_in_python(clip, tmp_path):
    told = []
    report = enhance_video(clip, tmp_path / "out.mkv", "identity", observe=told.append)
    started, *frames, done = told
    assert isinstance(started, FileStarted) and started.segments is None
    assert [event.done for event in frames] == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(event, Advanced) for event in frames)
    assert done == FileDone(str(clip), report, workers_lost=0)


def test_an_error_of_workers_keeps_its_traceback():
    assert WorkerError("a worker failed", "Traceback\n").__notes__ == ["Traceback\n"]
