"""Videos enhanced on a cluster of Ray: the bytes of one process, also where a node is killed."""

import os
import signal

import pytest

from support.failing import Dies
from support.media import write_clip
from support.ray_clusters import add_node
from vqe_fast.video import VideoError, enhance_video, enhance_videos
from vqe_fast.video.events import FileDone, FileStarted, SegmentDone, WorkerLost

OPTIONS = {"codec": "ffv1", "precision": "fp32", "segment_seconds": 1}
FRAMES = {"a": 150, "b": 75}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("clips"), {"size": (32, 32), "options": {"g": "40"}}
    return [
        write_clip(folder / f"{name}.mkv", frames=frames, audio=("aac",), **made)
        for name, frames in FRAMES.items()
    ]


@pytest.fixture(scope="module")
def wanted(clips, tmp_path_factory):
    """What one process makes of them."""
    folder = tmp_path_factory.mktemp("wanted")
    for clip in clips:
        enhance_video(clip, folder / clip.name, "identity", **OPTIONS)
    return [(folder / clip.name).read_bytes() for clip in clips]


def run(clips, folder, address, model="identity", react=lambda event: None):
    events = []

    def observe(event):
        events.append(event)
        react(event)

    files = [(clip, folder / clip.name) for clip in clips]
    enhance_videos(files, model, cluster=address, worker_cpus=1, observe=observe, **OPTIONS)
    return events


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_the_bytes_of_one_process(cluster, clips, wanted, tmp_path, monkeypatch):
    """Also with paths that only mean something in the driver's folder."""
    monkeypatch.chdir(tmp_path)
    events = run(
        [type(clip)(os.path.relpath(clip)) for clip in clips],
        type(tmp_path)("."),
        cluster.address,
    )
    assert [(tmp_path / clip.name).read_bytes() for clip in clips] == wanted
    started, done = of(events, FileStarted), of(events, SegmentDone)
    assert (len(started), len(done)) == (2, 9)
    assert not any(event.worker.endswith(f":{os.getpid()}") for event in (*started, *done))
    assert sum(event.report.frames_out for event in of(events, FileDone)) == 225
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


def test_a_node_is_killed_in_the_middle(cluster, clips, wanted, tmp_path):
    node = add_node(cluster)
    killed = []

    def kill(event):
        if isinstance(event, SegmentDone) and not killed:
            killed.append(event)
            os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)

    try:
        events = run(clips, tmp_path, cluster.address, react=kill)
    finally:
        cluster.remove_node(node, allow_graceful=False)
    assert [(tmp_path / clip.name).read_bytes() for clip in clips] == wanted
    assert all(event.again for event in of(events, WorkerLost))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


def test_a_worker_is_killed(cluster, clips, tmp_path):
    mark = tmp_path / "mark"
    events = run(clips[1:], tmp_path, cluster.address, Dies(mark))
    assert [event.again for event in of(events, WorkerLost)] == [True]
    done = of(events, FileDone)[0]
    assert (done.report.frames_out, done.workers_lost) == (75, 1)


def test_what_workers_cannot_do_as_asked(cluster, clips, tmp_path):
    with pytest.raises(VideoError, match="leave the device out"):
        enhance_video(clips[0], tmp_path / "out.mkv", cluster=cluster.address, device="cpu")
    with pytest.raises(VideoError, match=r"there is no file .*gone\.mkv"):
        enhance_video(tmp_path / "gone.mkv", tmp_path / "out.mkv", cluster=cluster.address)
    assert list(tmp_path.iterdir()) == []
