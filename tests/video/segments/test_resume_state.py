"""Interrupted runs: what they leave, and what --resume makes of it."""

import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from support.media import full_disk, write_clip
from support.modules import Pointwise, brighter
from support.processes import PATIENCE, wait_for
from support.streams import assert_same_frames, contents
from vqe_fast.cli.app import app
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.errors import HeldError
from vqe_fast.video.segments import enhance_task, join_task, parts_lock
from vqe_fast.video.segments.parts_folder import PartsFolder
from vqe_fast.video.segments.parts_lock import hold_parts

FRAMES = 200
SEGMENTS = 8

PROGRAM = """
import sys, time
import vqe_fast.video.segments.concat as joining
from vqe_fast.video.pipeline.enhancer import ResultWriter

def slowed(function, seconds):
    def slow(*arguments):
        time.sleep(seconds)
        return function(*arguments)
    return slow

write = slowed(ResultWriter.__call__, 0.004)

def first_said(*arguments):
    ResultWriter.__call__ = write
    print("working", file=sys.stderr, flush=True)
    return write(*arguments)

ResultWriter.__call__ = first_said if "{moment}" == "said" else write
VideoWriter = joining.VideoWriter
if "{moment}" == "join":
    VideoWriter.join = slowed(VideoWriter.join, 0.01)

from vqe_fast.cli.app import main
main()
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    return write_clip(path, frames=FRAMES, size=(32, 32), audio=("aac",), options={"g": "40"})


@pytest.fixture(scope="module")
def whole(clip, tmp_path_factory):
    """What one pass gives."""
    target = tmp_path_factory.mktemp("whole") / "whole.mkv"
    enhance_video(clip, target, "identity", codec="ffv1")
    return target


def words(clip, target, *options):
    fixed = ("--model", "identity", "--codec", "ffv1", "--segment-seconds", "1")
    return [str(word) for word in ("enhance", clip, target, *fixed, *options)]


def program(clip, target, *options, moment="work"):
    """Starts vqe-fast in a process of its own, with a slow model or a slow join."""
    code = PROGRAM.replace("{moment}", moment)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *words(clip, target, *options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def noted_in(folder):
    """How many finished segments a resumed run would know of."""
    return len(list(folder.glob("segment-*.json")))


def parts_in(folder):
    return [path for path in folder.glob("*.packets")] if folder.exists() else []


MOMENTS = {
    "first segment": ("work", lambda parts: any(parts.glob("segment-*.draft"))),
    "one finished": ("work", lambda parts: len(parts_in(parts)) == 1),
    "some finished": ("work", lambda parts: len(parts_in(parts)) == 4),
    "join": ("join", lambda parts: any(parts.glob(".target.*.part.mkv"))),
}


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        *((signal.SIGKILL, moment) for moment in MOMENTS),
        (signal.SIGTERM, "first segment"),
        (signal.SIGTERM, "join"),
        (signal.SIGINT, "some finished"),
    ],
)
def test_killed_and_resumed(clip, whole, tmp_path, moment, number):
    target, parts = tmp_path / "target.mkv", tmp_path / "target.mkv.parts"
    slowed, reached = MOMENTS[moment]
    process = program(clip, target, moment=slowed)
    wait_for(lambda: reached(parts), process)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert not target.exists()
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert (process.returncode, out, err.count("\n")) == (130, "", 1)
        assert ("the same command with --resume goes on" in err) == parts.exists()
        assert [path for path in tmp_path.iterdir() if path != parts] == []
    there = noted_in(parts)
    again = CliRunner().invoke(app, words(clip, target, "--resume"))
    assert (again.exit_code, again.stderr) == (0, "")
    assert (f"{there} of 8 segments were there" in again.stdout) == (there > 0)
    assert sorted(tmp_path.iterdir()) == [target]
    assert_same_frames(whole, target)
    assert contents(whole) == contents(target)


def test_killed_at_random_moments_again_and_again(clip, whole, tmp_path):
    """With those above twelve kill -9; after each the next run goes on, or begins anew."""
    chance, target = random.Random(0), tmp_path / "target.mkv"
    for _ in range(8):
        process = program(clip, target, "--resume", moment="said")
        assert process.stderr.readline() == "working\n"
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.communicate(timeout=PATIENCE)
        if target.exists():
            assert contents(target) == contents(whole)
            assert_same_frames(whole, target)
            target.unlink()
    assert CliRunner().invoke(app, words(clip, target, "--resume")).exit_code == 0
    assert sorted(tmp_path.iterdir()) == [target]
    assert_same_frames(whole, target)
    assert contents(whole) == contents(target)


class Stops(Exception):
    pass


def interrupted(clip, target, model="identity", after=60, **options):
    """Leaves a folder with the segments that are finished after so many frames."""

    def stop(done, _):
        if done > after:
            raise Stops

    with pytest.raises(Stops):
        enhance_video(clip, target, model, segment_seconds=1, progress=stop, **options)
    return target.with_name(f"{target.name}.parts")


def resumed(clip, target, model="identity", **options):
    return enhance_video(clip, target, model, resume=True, **options)


def test_what_a_person_reads(clip, tmp_path):
    folder = interrupted(clip, tmp_path / "out.mkv", codec="ffv1")
    state = json.loads((folder / "state.json").read_text())
    assert "--resume" in state["about"]
    assert state["request"]["source"]["path"] == str(clip)
    assert state["request"]["options"]["codec"] == "ffv1"
    assert sorted(path.name for path in folder.iterdir()) == [
        "lock",
        *(f"segment-000{n}.{end}" for n in (1, 2) for end in ("json", "packets")),
        "state.json",
    ]
    assert sum(segment["frames"] for segment in state["segments"]) == FRAMES


def test_report_and_progress_of_a_resumed_run(clip, tmp_path):
    target, seen = tmp_path / "out.mkv", []
    interrupted(clip, target)
    report = resumed(clip, target, progress=lambda *figures: seen.append(figures))
    assert (report.segments, report.resumed, report.frames_resumed) == (SEGMENTS, 2, 50)
    assert (report.frames_in, report.frames_out) == (FRAMES, FRAMES)
    assert seen == [(done, FRAMES) for done in range(50, FRAMES + 1)]
    assert report.fps * report.seconds == pytest.approx(150)
    assert list(tmp_path.iterdir()) == [target]


def test_nothing_to_resume_begins_anew(clip, tmp_path):
    report = resumed(clip, tmp_path / "out.mkv")
    assert (report.segments, report.resumed) == (1, 0)


def test_interrupted_before_anything_was_finished(clip, tmp_path):
    """There is nothing to go on from, and so nothing in the way of another start."""
    interrupted(clip, tmp_path / "out.mkv", after=5)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_refused(clip, tmp_path):
    target = tmp_path / "out.mkv"
    folder = interrupted(clip, target)
    for options in ({}, {"segment_seconds": 1}, {"workers": 2}, {"frames": 3}):
        with pytest.raises(VideoError, match=r"out\.mkv\.parts .*--resume, or delete"):
            enhance_video(clip, target, "identity", **options)
    assert len(parts_in(folder)) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codec": "ffv1"}, r"codec \(libx264 → ffv1\)"),
        ({"crf": 30}, r"crf \(None → 30\)"),
        ({"preset": "fast"}, r"preset"),
        ({"pix_fmt": "yuv444p"}, r"pix_fmt \(None → yuv444p\)"),
        ({"tile": 64}, r"tile \(None → 64\)"),
        ({"segment_seconds": 2}, r"segment_seconds \(1 → 2\)"),
        ({"precision": "fp32", "crf": 20}, r"precision \(auto → fp32\), crf"),
    ],
)
def test_changed_options(clip, tmp_path, options, words):
    folder = interrupted(clip, tmp_path / "out.mkv")
    with pytest.raises(
        VideoError, match=rf"out\.mkv\.parts was begun there have changed: .*{words}.*; put"
    ):
        resumed(clip, tmp_path / "out.mkv", **options)
    assert len(parts_in(folder)) == 2


def test_changed_model(clip, tmp_path):
    class Scale(Pointwise):
        def __init__(self, factor):
            super().__init__()
            self.register_buffer("factor", factor)

        def forward(self, luma):
            return luma * self.factor

    target = tmp_path / "out.mkv"
    interrupted(clip, target, Scale(torch.tensor(0.5)))
    with pytest.raises(VideoError, match=r"changed: the model's code, options or weights;"):
        resumed(clip, target, Scale(torch.tensor(0.6)))
    both = r"changed: model \(Scale → Pointwise\), the model's code, options or weights;"
    with pytest.raises(VideoError, match=both):
        resumed(clip, target, brighter(1))
    assert resumed(clip, target, Scale(torch.tensor(0.5))).resumed == 2


def test_changed_activation(clip, tmp_path):
    """A model of another structure with equal weights, of which this one has none."""

    class Net(Pointwise):
        def __init__(self, activation):
            super().__init__()
            self.activation = activation

        def forward(self, luma):
            return self.activation(luma)

    target = tmp_path / "out.mkv"
    interrupted(clip, target, Net(torch.nn.Sigmoid()))
    with pytest.raises(VideoError, match=r"changed: the model's code, options or weights;"):
        resumed(clip, target, Net(torch.nn.Identity()))
    assert resumed(clip, target, Net(torch.nn.Sigmoid())).resumed == 2


def test_changed_source(clip, tmp_path):
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    source.write_bytes(clip.read_bytes())
    interrupted(source, target)
    moved = tmp_path / "moved.mkv"
    source.rename(moved)
    assert resumed(moved, target).resumed == 2
    target.unlink()
    interrupted(moved, target)
    os.utime(moved, (1, 1))
    with pytest.raises(VideoError, match=r"changed: the source .*moved\.mkv;"):
        resumed(moved, target)


def test_changed_version(clip, tmp_path, monkeypatch):
    interrupted(clip, tmp_path / "out.mkv")
    monkeypatch.setattr("vqe_fast.video.segments.fingerprint.__version__", "9.9")
    with pytest.raises(VideoError, match=r"the version of vqe-fast \(.* → 9\.9\)"):
        resumed(clip, tmp_path / "out.mkv")


@pytest.mark.parametrize("harm", ["cut", "flipped", "gone"])
def test_a_part_that_is_not_what_it_was(clip, tmp_path, harm):
    """It is made again: a power failure may leave names without contents."""
    whole, target = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    enhance_video(clip, whole, "identity", codec="ffv1")
    victim = sorted(parts_in(interrupted(clip, target, codec="ffv1")))[1]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data[: len(data) // 2] if harm == "cut" else data)
    if harm == "gone":
        victim.unlink()
    assert resumed(clip, target, codec="ffv1").resumed == 1
    assert_same_frames(whole, target)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"request": 3'])
def test_a_state_that_cannot_be_read(clip, tmp_path, text):
    folder = interrupted(clip, tmp_path / "out.mkv")
    (folder / "state.json").write_text(text)
    with pytest.raises(VideoError, match=r"state\.json is not readable; delete"):
        resumed(clip, tmp_path / "out.mkv")
    assert len(parts_in(folder)) == 2


def test_two_runs_do_not_share_a_folder(clip, tmp_path):
    target, sentences = tmp_path / "out.mkv", []

    def meanwhile(done, _):
        if done == 40:
            with pytest.raises(HeldError) as refusal:
                resumed(clip, target)
            sentences.append(str(refusal.value))

    enhance_video(clip, target, "identity", segment_seconds=1, progress=meanwhile)
    holder = f"process {os.getpid()} on {platform.node()}"
    assert sentences == [f"{holder} is working in {target}.parts; wait for its end"]


def test_the_lock_of_a_dead_process_is_no_hindrance(clip, tmp_path):
    folder = interrupted(clip, tmp_path / "out.mkv")
    (folder / "lock").write_text("1")
    assert resumed(clip, tmp_path / "out.mkv").resumed == 2


def test_a_folder_that_was_deleted_while_it_was_locked(tmp_path, monkeypatch):
    """Whoever had it was done: the lock is that of the new folder, which keeps others out."""
    folder, lock = tmp_path / "out.mkv.parts", parts_lock.fcntl.flock
    locked = []

    def deleted_before(*arguments):
        if not locked:
            shutil.rmtree(folder)
        locked.append(lock(*arguments))

    monkeypatch.setattr(parts_lock.fcntl, "flock", deleted_before)
    with hold_parts(tmp_path / "out.mkv"):
        assert len(locked) == 2
        assert (folder / "lock").read_text() == f"{platform.node()}:{os.getpid()}"
        with pytest.raises(HeldError), hold_parts(tmp_path / "out.mkv"):
            pass


@pytest.mark.parametrize("moment", ["part", "join"])
def test_full_disk(clip, tmp_path, monkeypatch, moment):
    """The finished segments stay; with room again the run goes on."""
    target = tmp_path / "out.mkv"
    if moment == "part":
        sizes = iter((1 << 30, 1 << 30, 9000))
        enhance_segment = enhance_task.enhance_segment

        def in_little_room(*arguments):
            with full_disk(next(sizes)):
                return enhance_segment(*arguments)

        monkeypatch.setattr(enhance_task, "enhance_segment", in_little_room)
        there, name = 2, r"segment-0003\.draft"
    else:
        join_parts = join_task.join_parts

        def in_little_room(*arguments):
            with full_disk(9000):
                return join_parts(*arguments)

        monkeypatch.setattr(join_task, "join_parts", in_little_room)
        there, name = SEGMENTS, r"out\.mkv"
    with pytest.raises(VideoError, match=rf"{name} cannot be written: File too large"):
        enhance_video(clip, target, "identity", segment_seconds=1, codec="ffv1")
    monkeypatch.undo()
    folder = tmp_path / "out.mkv.parts"
    assert list(tmp_path.iterdir()) == [folder] and len(parts_in(folder)) == there
    assert len(list(folder.iterdir())) == 2 * there + 2
    assert resumed(clip, target, codec="ffv1").resumed == there


def test_other_headers_are_refused(clip, tmp_path):
    """A stream has its headers once, so all parts must have been encoded alike."""
    target = tmp_path / "out.mkv"
    folder = interrupted(clip, target)
    facts = folder / "segment-0001.json"
    facts.write_text(facts.read_text().replace('"parameter_sets": "', '"parameter_sets": "x'))
    with pytest.raises(VideoError, match="libx264 gave its streams different headers"):
        resumed(clip, target)
    assert not target.exists()


def test_killed_between_the_last_two_steps(clip, tmp_path, monkeypatch):
    """The target has its name, and the folder is still there."""
    target = tmp_path / "out.mkv"

    def killed(*_):
        raise Stops

    monkeypatch.setattr(PartsFolder, "remove", killed)
    with pytest.raises(Stops):
        enhance_video(clip, target, "identity", segment_seconds=1)
    monkeypatch.undo()
    assert target.exists() and (tmp_path / "out.mkv.parts").exists()
    before = target.stat()
    report = resumed(clip, target)
    assert (report.segments, report.resumed, report.frames_out) == (SEGMENTS, SEGMENTS, FRAMES)
    assert target.stat().st_ino == before.st_ino
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_was_there_before_is_refused(clip, tmp_path):
    target = tmp_path / "out.mkv"
    folder = interrupted(clip, target)
    target.write_text("precious")
    with pytest.raises(VideoError, match="exists already"):
        resumed(clip, target)
    assert target.read_text() == "precious" and len(parts_in(folder)) == 2
