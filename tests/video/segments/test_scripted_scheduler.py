"""The scheduler with workers that have done everything: its order, and what it keeps in memory."""

import re
import tracemalloc
from dataclasses import replace

import pytest

from support.media import full_disk
from support.scripted import Scripted
from vqe_fast.executors.executor import Chunk, Refused
from vqe_fast.video.errors import MissingError
from vqe_fast.video.events import FileDone, FileRefused, SegmentDone, WorkersAwaited
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.report import Outcome, Particulars
from vqe_fast.video.segments import scheduler
from vqe_fast.video.segments.enhance_task import EnhanceTask
from vqe_fast.video.segments.packet_file import PartFacts
from vqe_fast.video.segments.plan_task import Planned, PlanTask
from vqe_fast.video.segments.resume_state import Part, State
from vqe_fast.video.segments.scheduler import Scheduler
from vqe_fast.video.segments.split import Segment
from vqe_fast.video.segments.worker_setup import Job

OUTCOME = Outcome(
    frames_in=750,
    frames_out=750,
    frames_damaged=0,
    frames_scaled=0,
    damaged_packets=0,
    not_kept=(),
    precision="fp32",
    qp_sources={"stream": 750},
    applied={"whole": 750},
    duplicated=0,
    scene_cuts=None,
    tile=None,
    tiles_exact=True,
    clip_frames=None,
    timings={"decode": 1.0, "model": 2.0, "encode": 3.0, "waiting": 0.0},
    peak_memory=1 << 30,
)
PARTICULARS = Particulars(
    width=32,
    height=32,
    model="identity",
    device="cpu",
    codec="ffv1",
    pixel_format="yuv420p",
    crf=None,
    preset=None,
    options={},
    source_bytes=1,
    weights=None,
    versions={},
    enhanced_before=None,
)
CHOSEN = {"precision": "fp32", "tile": None, "clip_frames": None, "crf": None}


def answered(segments):
    """Results of tasks for files of so many segments."""

    def answer(task):
        if isinstance(task, PlanTask):
            plan = [Segment(number * 30, number * 30 + 30, 750) for number in range(segments)]
            return Planned(State({}, CHOSEN, plan), PARTICULARS)
        if isinstance(task, EnhanceTask):
            facts = PartFacts(750, 0, "0" * 64, "1" * 64)
            return Part(facts, (0, 1), (30, 2), replace(OUTCOME, timings=dict(OUTCOME.timings)))
        task.job.target.write_bytes(b"joined")
        return OUTCOME

    return answer


def peak_of(tmp_path, segments, files=1):
    """Bytes that Python takes at most, and events of files and segments."""
    jobs = [Job(tmp_path / "in.mkv", tmp_path / f"{segments}_{n}.mkv") for n in range(files)]
    seen = []
    executor = Scripted(answered(segments), workers=8)

    def observe(event):
        if isinstance(event, FileDone | SegmentDone):
            seen.append(type(event).__name__)

    tracemalloc.start()
    try:
        Scheduler(executor, None, SegmentOptions(), lambda _: None, observe).run(jobs)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen.count("SegmentDone") == segments * files and seen.count("FileDone") == files
    return peak


@pytest.mark.parametrize("files", [1, 3])
def test_a_hundred_times_the_segments(tmp_path, files):
    """A film of 33 hours takes some bytes a segment more than one of 20 minutes."""
    few, many = peak_of(tmp_path, 40, files), peak_of(tmp_path, 4000, files)
    assert many - few < files * 3960 * 1200
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.parametrize(("workers", "first"), [(1, "small"), (2, "large")])
def test_large_files_come_first(tmp_path, workers, first):
    """Where there are several workers: else nobody waits for the last segment of a large file."""
    jobs = []
    for name, size in (("small", 10), ("large", 1000)):
        (tmp_path / name).write_bytes(bytes(size))
        jobs.append(Job(tmp_path / name, tmp_path / f"{name}.mkv"))
    executor = Scripted(answered(3), workers)
    Scheduler(executor, None, SegmentOptions(), lambda _: None, lambda _: None).run(jobs)
    order = [task.job.source.name for task in executor.submitted if isinstance(task, EnhanceTask)]
    other = "small" if first == "large" else "large"
    assert order == [first] * 3 + [other] * 3


@pytest.mark.parametrize(
    ("is_here", "words"),
    [(True, "host:1 does not see .*in.mkv: put it where every node"), (False, "there is no file")],
)
def test_workers_see_other_files(tmp_path, is_here, words):
    source, events = tmp_path / "in.mkv", []
    if is_here:
        source.write_bytes(b"video")

    def refused(key):
        return Refused(key, MissingError(f"there is no file {source}; check the name"), "host:1")

    executor = Scripted(lambda task: refused)
    job = Job(source, tmp_path / "out.mkv")
    Scheduler(executor, None, SegmentOptions(), lambda _: None, events.append).run([job])
    assert isinstance(events[-1], FileRefused)
    assert re.search(words, str(events[-1].error))


def test_waiting_for_workers_is_told(tmp_path, monkeypatch):
    """A cluster may be full of other jobs for hours."""
    clock, events = [0.0], []
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: clock[0])
    executor = Scripted(answered(1), workers=0)

    def polled(handle, seconds):
        clock[0] += 20
        if clock[0] == 100:
            executor.workers = 1
        elif executor.workers:
            Scripted.poll(executor, handle, seconds)

    executor.poll = polled
    job = Job(tmp_path / "in.mkv", tmp_path / "out.mkv")
    Scheduler(executor, None, SegmentOptions(), lambda _: None, events.append).run([job])
    waited = [event.seconds for event in events if isinstance(event, WorkersAwaited)]
    assert waited == [40, 80] and isinstance(events[-1], FileDone)


def test_a_full_disk_for_parts_that_workers_send(tmp_path):
    """It is a sentence, and nothing is left."""
    events = []
    executor = Scripted(answered(2), workers=1)
    poll = executor.poll

    def polled(handle, seconds):
        key, task = executor._given[0]
        if isinstance(task, EnhanceTask):
            with full_disk(9000):
                handle(Chunk(key, bytes(20_000)))
                handle(Chunk(key, bytes(20_000)))
        poll(handle, seconds)

    executor.poll = polled
    job = Job(tmp_path / "in.mkv", tmp_path / "out.mkv")
    Scheduler(executor, None, SegmentOptions(), lambda _: None, events.append).run([job])
    (refused,) = [event for event in events if isinstance(event, FileRefused)]
    assert "segment-0001.draft cannot be written: File too large" in str(refused.error)
    assert list(tmp_path.iterdir()) == []
