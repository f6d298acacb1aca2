"""Several processes that share the segments of a video."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from support.failing import Dies, Fails, TooLarge
from support.media import write_clip
from support.modules import Blend, Pointwise
from support.processes import PATIENCE, wait_for
from support.streams import assert_same_frames, contents
from vqe_fast.executors.choice import worker_devices
from vqe_fast.video import VideoError, enhance_video
from vqe_fast.video.errors import WorkerError

FRAMES = 200


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    return write_clip(path, frames=FRAMES, size=(32, 32), audio=("aac",), options={"g": "40"})


def shared(clip, target, model, **options):
    return enhance_video(clip, target, model, segment_seconds=1, workers=2, **options)


def test_the_same_as_one_pass(clip, tmp_path):
    whole, joined, seen = tmp_path / "whole.mkv", tmp_path / "joined.mkv", []
    model, options = Blend(1.0, 2.0, 1.0), {"codec": "ffv1", "precision": "fp32"}
    passes = enhance_video(clip, whole, model, **options)
    report = shared(clip, joined, model, progress=lambda *at: seen.append(at), **options)
    assert_same_frames(whole, joined)
    assert contents(whole) == contents(joined)
    assert (report.segments, report.resumed, report.frames_out) == (8, 0, FRAMES)
    assert (report.scene_cuts, report.precision) == (passes.scene_cuts, "fp32")
    assert seen[-1] == (FRAMES, FRAMES) and [at for at, _ in seen] == sorted(at for at, _ in seen)
    assert sorted(tmp_path.iterdir()) == [joined, whole]


def test_one_that_dies_is_replaced(clip, tmp_path):
    mark = tmp_path / "mark"
    report = shared(clip, tmp_path / "out.mkv", Dies(mark))
    assert mark.exists() and report.frames_out == FRAMES


@pytest.mark.parametrize(
    ("model", "how"), [(Dies(), "was killed by signal 9"), (TooLarge(), "ran out of memory")]
)
def test_one_that_dies_twice_ends_the_run(clip, tmp_path, model, how):
    sentence = rf"a worker {how} twice over (segment \d|the plan) of .*--resume"
    with pytest.raises(VideoError, match=sentence):
        shared(clip, tmp_path / "out.mkv", model, precision="fp32")
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            RuntimeError("out of\ntune"),
            WorkerError,
            r"(?s)worker failed: RuntimeError: out of\n.*tune",
        ),
        (VideoError("this one is refused"), VideoError, "^this one is refused$"),
    ],
    ids=["bug", "refusal"],
)
def test_errors_come_back(clip, tmp_path, error, kind, words):
    with pytest.raises(kind, match=words):
        shared(clip, tmp_path / "out.mkv", Fails(error), precision="fp32")


def test_a_model_that_cannot_be_sent(clip, tmp_path):
    with pytest.raises(VideoError, match="Pointwise cannot be sent to workers"):
        shared(clip, tmp_path / "out.mkv", Pointwise(lambda luma: luma))
    assert list(tmp_path.iterdir()) == []


def test_fewer_segments_than_workers(clip, tmp_path):
    report = enhance_video(clip, tmp_path / "out.mkv", "identity", workers=2)
    assert (report.segments, report.frames_out) == (1, FRAMES)


def test_counts_out_of_range(clip, tmp_path):
    with pytest.raises(VideoError, match="at least 1 worker, got 0"):
        enhance_video(clip, tmp_path / "out.mkv", "identity", workers=0)


def test_shares_without_a_cluster(clip, tmp_path):
    with pytest.raises(VideoError, match="--cluster, or leave --worker-cpus and --worker-gpus"):
        shared(clip, tmp_path / "out.mkv", "identity", worker_cpus=1)
    assert list(tmp_path.iterdir()) == []


def test_devices(monkeypatch):
    assert worker_devices("cpu", 3) == ["cpu"] * 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert worker_devices("auto", 2) == ["cuda:0", "cuda:1"]
    assert worker_devices("cuda", 1) == ["cuda"]
    for device, count in (("auto", 3), ("cuda:1", 2)):
        with pytest.raises(ValueError, match="each worker gets a GPU of its own"):
            worker_devices(device, count)


def children_of(process):
    listed = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(child) for each in listed for child in each.read_text().split()]


def is_alive(number):
    try:
        return "zombie" not in Path(f"/proc/{number}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_program(tmp_path, number):
    """Ctrl-C reaches all processes of a terminal, and is answered once."""
    clip = write_clip(tmp_path / "in.mkv", frames=1200, size=(32, 32))
    target = tmp_path / "out.mkv"
    start = "from vqe_fast.cli.app import main; main()"
    options = ["--model", "identity", "--segment-seconds", "1", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", start, "enhance", str(clip), str(target), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    parts = tmp_path / "out.mkv.parts"
    # With three there, the first of them are noted.
    wait_for(lambda: len(list(parts.glob("*.packets"))) >= 3, process)
    children = children_of(process)
    assert len(children) >= 2
    masks = [Path(f"/proc/{child}/status").read_text() for child in children]
    blocked = [int(re.search(r"SigBlk:\s+(\w+)", mask)[1], 16) >> 1 & 1 for mask in masks]
    ignored = [int(re.search(r"SigIgn:\s+(\w+)", mask)[1], 16) >> 1 & 1 for mask in masks]
    assert all(map(max, blocked, ignored))
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)
    out, err = process.communicate(timeout=PATIENCE)
    if number == signal.SIGINT:
        assert (process.returncode, out) == (130, "")
        left = "out.mkv.parts holds what is finished; the same command with --resume goes on"
        assert err == f"vqe-fast: interrupted, {left}\n"
    deadline = time.monotonic() + PATIENCE
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not target.exists()
    report = enhance_video(clip, target, "identity", resume=True)
    assert report.resumed >= 1 and report.frames_out == 1200
