"""Many files in one run: one queue for all segments, and what becomes of each file."""

import pytest

from support.failing import Dies
from support.media import texture, write_clip
from support.modules import Blend
from support.scripted import Elsewhere
from support.streams import assert_same_frames, contents
from vqe_fast.video import VideoError, enhance_video, enhance_videos
from vqe_fast.video.errors import WorkerError
from vqe_fast.video.events import (
    Advanced,
    FileDone,
    FileFailed,
    FileRefused,
    FileSkipped,
    FileStarted,
    SegmentDone,
    WorkerLost,
)
from vqe_fast.video.segments import enhance_segmented
from vqe_fast.video.segments.parts_lock import hold_parts
from vqe_fast.video.segments.worker_setup import EnhanceSetup

FRAMES = {"long": 100, "short": 50}
OPTIONS = {"codec": "ffv1", "precision": "fp32", "segment_seconds": 1}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {
        name: write_clip(
            folder / f"{name}.mkv",
            frames=frames,
            size=(32, 32),
            audio=("aac",),
            options={"g": "40"},
        )
        for name, frames in FRAMES.items()
    }


def turning_white(frame):
    """Draws one second of texture, and then nothing but white."""
    texture(frame)
    if frame.time >= 1:
        for plane in frame.planes:
            plane.update(bytes([235]) * plane.buffer_size)


def run(files, model="identity", **options):
    events = []
    enhance_videos(files, model, observe=events.append, **OPTIONS | options)
    return events


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_one_queue_for_all_segments(clips, tmp_path):
    """All workers work to the end, and each file is what a run of its own gives."""
    files = [(clips[name], tmp_path / f"{name}.mkv") for name in ("short", "long")]
    model = Blend(1.0, 2.0, 1.0)
    events = run(files, model, workers=2)
    assert {event.source for event in of(events, FileStarted)} == set(map(str, clips.values()))
    assert len(of(events, SegmentDone)) == 6
    assert len({event.worker for event in of(events, SegmentDone)}) == 2
    last = of(events, Advanced)[-1]
    assert (last.all_done, last.all_frames, last.workers) == (150, 150, 2)
    reports = {event.source: event.report for event in of(events, FileDone)}
    for source, target in files:
        alone = tmp_path / f"alone_{target.name}"
        enhance_video(source, alone, model, **OPTIONS)
        assert_same_frames(alone, target)
        assert contents(alone) == contents(target)
        assert reports[str(source)].frames_out == FRAMES[source.stem]
    assert not list(tmp_path.glob("*.parts"))


def test_a_segment_that_kills_two_workers_is_set_aside_with_its_file(clips, tmp_path):
    """The others go on; what was finished of it stays for --resume."""
    bad = write_clip(tmp_path / "bad.mkv", frames=75, size=(32, 32), draw=turning_white)
    files = [(path, tmp_path / f"out_{path.name}") for path in (bad, clips["long"])]
    events = run(files, Dies(above=0.8), workers=2)
    lost = of(events, WorkerLost)
    assert [event.source for event in lost] == [str(bad)] * len(lost)
    assert [event.again for event in lost if event.work == lost[-1].work] == [True, False]
    failure, done = of(events, FileFailed)[0], of(events, FileDone)[0]
    assert isinstance(failure.error, WorkerError)
    assert (failure.source, done.source) == (str(bad), str(clips["long"]))
    assert done.report.frames_out == 100
    assert [event.segment for event in of(events, SegmentDone) if event.source == str(bad)] == [1]
    assert (tmp_path / "out_bad.mkv.parts" / "segment-0001.packets").exists()
    events = run(files[:1], "identity", workers=1, resume=True)
    assert "have changed" in str(of(events, FileRefused)[0].error)


def test_a_bad_file_does_not_keep_others_from_it(clips, tmp_path):
    bad, target = tmp_path / "bad.mkv", tmp_path / "out.mkv"
    bad.write_bytes(b"no video at all")
    events = run([(bad, tmp_path / "bad_out.mkv"), (clips["short"], target)])
    assert "is not a video" in str(of(events, FileRefused)[0].error)
    assert of(events, FileDone)[0].report.frames_out == 50
    assert sorted(tmp_path.iterdir()) == [bad, target]


def test_what_another_holds_or_has_done_is_skipped(clips, tmp_path):
    files = [(clips[name], tmp_path / f"{name}.mkv") for name in FRAMES]
    with hold_parts(files[0][1]):
        events = run(files, resume=True)
    assert "is working in" in of(events, FileSkipped)[0].why
    assert of(events, FileDone)[0].source == str(clips["short"])
    events = run(files, resume=True)
    assert [event.was_there for event in of(events, FileSkipped)] == [True]
    assert of(events, FileDone)[0].source == str(clips["long"])


def test_a_target_that_exists_is_refused(clips, tmp_path):
    target = tmp_path / "out.mkv"
    target.write_text("precious")
    events = run([(clips["short"], target)])
    assert "exists already" in str(of(events, FileRefused)[0].error)
    assert target.read_text() == "precious"
    assert len(of(run([(clips["short"], target)], overwrite=True), FileDone)) == 1


def test_options_are_refused_before_any_file(clips, tmp_path):
    with pytest.raises(VideoError, match="there is no model"):
        run([(clips["short"], tmp_path / "out.mkv")], "nonesuch")


@pytest.mark.parametrize("target_is_there", [False, True])
def test_workers_that_do_not_see_the_folder_send_their_parts(
    clips, tmp_path, monkeypatch, target_is_there
):
    """Parts come in chunks, and this process joins them."""

    def elsewhere(session, options):
        return Elsewhere(EnhanceSetup(session, processes=1), "cpu")

    monkeypatch.setattr(enhance_segmented, "executor_for", elsewhere)
    monkeypatch.setattr("vqe_fast.video.segments.enhance_task._CHUNK_BYTES", 1000)
    target, here = tmp_path / "target.mkv", tmp_path / "here.mkv"
    if target_is_there:
        target.write_text("old")
    events = run([(clips["long"], target)], device="cpu", overwrite=target_is_there)
    assert of(events, FileDone)[0].report.segments == 4
    monkeypatch.undo()
    run([(clips["long"], here)])
    assert target.read_bytes() == here.read_bytes()
    assert sorted(tmp_path.iterdir()) == [here, target]
