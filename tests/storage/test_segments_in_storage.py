"""Segments whose source, parts and output lie in an S3 store: the same result as of files."""

import pytest

from support.media import write_clip
from vqe_fast.storage.lease import lease
from vqe_fast.storage.location import location
from vqe_fast.video import VideoError, enhance_video, enhance_videos
from vqe_fast.video.events import FileDone, FileSkipped

FRAMES = 100
OPTIONS = {"codec": "ffv1", "precision": "fp32", "segment_seconds": 1}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "in.mp4"
    return write_clip(path, frames=FRAMES, size=(32, 32), audio=("aac",), options={"g": "25"})


@pytest.fixture(scope="module")
def wanted(clip, tmp_path_factory):
    """What this machine makes of it in segments."""
    path = tmp_path_factory.mktemp("wanted") / "out.mkv"
    enhance_video(clip, path, "identity", **OPTIONS)
    return path.read_bytes()


@pytest.fixture
def remote(s3, clip):
    """The folder of the clip's copy in the store."""
    folder = location(s3) / "videos"
    (folder / "in.mp4").put(clip)
    return folder


def names(folder):
    return sorted(path.name for path in folder.walk_files())


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_as_of_files(remote, wanted, workers):
    report = enhance_video(
        remote / "in.mp4", remote / "out.mkv", "identity", workers=workers, **OPTIONS
    )
    assert (report.segments, report.frames_out) == (4, FRAMES)
    assert report.target == "s3://bucket/videos/out.mkv"
    assert (remote / "out.mkv").read_bytes() == wanted
    assert report.target_bytes == len(wanted)
    assert names(remote) == ["in.mp4", "out.mkv"]


@pytest.mark.parametrize("target_is_remote", [True, False])
def test_interrupted_and_resumed(remote, wanted, tmp_path, target_is_remote):
    """The parts are in the store, or beside a target on this machine."""
    target = remote / "out.mkv" if target_is_remote else tmp_path / "out.mkv"

    class Stops(Exception):
        pass

    def stop(done, _):
        if done > 60:
            raise Stops

    with pytest.raises(Stops):
        enhance_video(remote / "in.mp4", target, "identity", progress=stop, **OPTIONS)
    parts = target.with_name("out.mkv.parts")
    kept = {path.name for path in parts.iterdir()}
    assert {"segment-0001.json", "segment-0001.packets", "segment-0002.packets"} <= kept
    with pytest.raises(VideoError, match=r"out\.mkv\.parts holds what an interrupted run"):
        enhance_video(remote / "in.mp4", target, "identity", **OPTIONS)
    report = enhance_video(remote / "in.mp4", target, "identity", resume=True, **OPTIONS)
    assert (report.segments, report.resumed) == (4, 2)
    assert target.read_bytes() == wanted
    assert not parts.exists()
    assert names(remote) == ["in.mp4", *(["out.mkv"] if target_is_remote else [])]


def test_a_part_that_was_changed_in_the_store(remote):
    target, parts = remote / "out.mkv", remote / "out.mkv.parts"

    def stop(done, _):
        if done > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance_video(remote / "in.mp4", target, "identity", progress=stop, **OPTIONS)
    victim = parts / "segment-0001.packets"
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(bytes(data))
    with pytest.raises(VideoError, match=r"segment-0001\.packets has been changed; delete it"):
        enhance_video(remote / "in.mp4", target, "identity", resume=True, **OPTIONS)
    assert not target.exists()
    victim.unlink()
    report = enhance_video(remote / "in.mp4", target, "identity", resume=True, **OPTIONS)
    assert report.resumed == 3


def test_what_another_holds_is_skipped(remote):
    events = []
    with lease(remote / "out.mkv.parts"):
        enhance_videos(
            [(remote / "in.mp4", remote / "out.mkv")],
            "identity",
            observe=events.append,
            **OPTIONS,
            resume=True,
        )
    skipped = [event for event in events if isinstance(event, FileSkipped)]
    assert "is working in s3://bucket/videos/out.mkv.parts" in skipped[0].why
    enhance_videos(
        [(remote / "in.mp4", remote / "out.mkv")],
        "identity",
        observe=events.append,
        **OPTIONS,
        resume=True,
    )
    assert isinstance(events[-1], FileDone)


def test_a_source_that_changes_between_segments(remote, clip):
    def change(done, _):
        if done == 30:
            (remote / "in.mp4").write_bytes(clip.read_bytes() + b"more")

    with pytest.raises(VideoError, match=r"in\.mp4 changed while it was read"):
        enhance_video(
            location("s3://bucket/videos/in.mp4"),
            remote / "out.mkv",
            "identity",
            progress=change,
            **OPTIONS,
        )
    assert not (remote / "out.mkv").exists()
