"""Where a cluster saturates: serial parts measured on this machine, and a model of 1,000 GPUs.

``python benchmarks/cluster_model.py`` measures what is not spread over workers, or what each
segment costs beside its frames: the plan of a file, the first look, the reading of QPs, the
scheduling of a segment by the driver, over processes and over Ray, and the joining. Then it
computes, for GPUs of several speeds, how many of them one driver keeps busy, what share of their
time plans and joins take, and what the driver holds in memory. ``docs/cluster.md`` explains the
result. Needs the extra ``cluster``. ``--overhead`` compares Ray with the pool of processes instead.
"""

import argparse
import pickle
import statistics
import sys
import tempfile
import time
import tracemalloc
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from long_run import make_source

from vqe_fast._machine import cpu_name
from vqe_fast.executors.inline import InlineExecutor
from vqe_fast.executors.process_pool import ProcessPool
from vqe_fast.executors.ray_cluster import RayCluster
from vqe_fast.video import enhance_videos, read_qp
from vqe_fast.video.events import FileStarted, SegmentDone
from vqe_fast.video.options import EncodeOptions, ModelOptions, SegmentOptions
from vqe_fast.video.segments.enhance_task import EnhanceTask
from vqe_fast.video.segments.join_task import JoinTask
from vqe_fast.video.segments.parts_lock import hold_parts
from vqe_fast.video.segments.plan_task import PlanTask, rehearse
from vqe_fast.video.segments.scheduler import Scheduler
from vqe_fast.video.segments.worker_setup import EnhanceSetup, Job
from vqe_fast.video.session import EnhanceSession

MINUTES = 10.0
SEGMENT_SECONDS = 30.0
TASKS = 400
NOISE_FRAMES = 400
PROGRESS = 100
"""Messages of progress a second, of all workers of a cluster together."""

GPU_FPS = (30.0, 100.0, 300.0)
"""Frames a second of one GPU, assumed: nobody has measured them for this page."""

GPUS, HOURS = 1000, 100_000
RATE = 25.0
FILE_HOURS = 1.0
FILE_BYTES = 2.25e9
"""Of an hour, at 5 Mbit a second."""


@dataclass
class Costs:
    """What was measured.

    Attributes:
        look: seconds of the first look at a file.
        plan: seconds to plan an hour of video.
        qp: seconds to read the QPs of an hour, which workers do beside decoding.
        join: seconds to join an hour, by its packets.
        join_rate: bytes a second that joining writes.
        schedule: seconds of the driver for a segment, by the scheduler itself.
        ray: seconds of processor time of the driver for a task on Ray.
        pool: the same over processes.
        round_trip: seconds from the end of a task to the begin of the next on Ray.
        task_bytes: of a task on its way to a worker.
        part_bytes: of its result.
        memory: bytes that the driver holds of a segment.
    """

    look: float = 0.0
    plan: float = 0.0
    qp: float = 0.0
    join: float = 0.0
    join_rate: float = 0.0
    schedule: float = 0.0
    ray: float = 0.0
    pool: float = 0.0
    round_trip: float = 0.0
    task_bytes: int = 0
    part_bytes: int = 0
    memory: float = 0.0


class Silent:
    """A report that nobody reads."""

    def progress(self, done: int) -> None:
        """Takes note of nothing."""

    def chunk(self, data: bytes) -> None:
        """Takes nothing."""


class Nothing:
    """A task that does nothing."""

    def run(self, context: object, report: object) -> float:
        """The time at which it ran."""
        return time.time()


class Bare:
    """The setup of workers that do nothing."""

    refusals = ()

    def make(self, device: str) -> None:
        """No context."""

    def is_out_of_memory(self, error: Exception) -> bool:
        """It takes none."""
        return False


def timed(function, *arguments) -> tuple[float, object]:
    """Seconds of a call, the median of three, and its result."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        result = function(*arguments)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), result


def measure_file(costs: Costs, folder: Path) -> None:
    """Plan, first look, QPs and joining of one file."""
    source, target = folder / "in.mp4", folder / "out.mp4"
    make_source(source, MINUTES)
    an_hour = 60 / MINUTES
    options = SegmentOptions(segment_seconds=SEGMENT_SECONDS)
    session = EnhanceSession(
        source, target, ModelOptions(model="identity"), EncodeOptions(preset="ultrafast")
    )
    setup = EnhanceSetup(session, processes=1)
    context, job = setup.make("auto"), Job(source, target)
    costs.look, _ = timed(rehearse, session, options)
    costs.qp = timed(read_qp, source)[0] * an_hour
    with hold_parts(target) as held:
        parts = held.folder
        plan = PlanTask(job, options, parts, None)
        seconds, planned = timed(plan.run, context, Silent())
        costs.plan = max(seconds - costs.look, 0) * an_hour
        parts.save(planned.state)
        holder = (parts.path / "lock").read_text()
        for number, segment in enumerate(planned.state.segments):
            task = EnhanceTask(job, number, segment, planned.state.chosen, parts, holder)
            part = task.run(context, Silent())
        costs.task_bytes = len(pickle.dumps(task))
        costs.part_bytes = len(pickle.dumps(part))
        began = time.perf_counter()
        JoinTask(job, planned.state, parts, holder).run(context, Silent())
        costs.join = (time.perf_counter() - began) * an_hour
        parts.remove()


def measure_joining(costs: Costs, folder: Path) -> None:
    """How many bytes a second joining writes, of a video with large packets."""
    source, target = folder / "noise.mkv", folder / "joined.mkv"
    chance = np.random.default_rng(0)
    with av.open(str(source), "w") as container:
        video = container.add_stream("ffv1", rate=25, width=640, height=360)
        video.pix_fmt = "yuv420p"
        for number in range(NOISE_FRAMES):
            frame = av.VideoFrame.from_ndarray(
                chance.integers(0, 256, (540, 640), np.uint8), format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    seconds = []

    def observe(event) -> None:
        seconds.append(time.perf_counter())

    options = {"segment_seconds": 4, "codec": "ffv1"}
    enhance_videos([(source, target)], "identity", observe=observe, **options)
    costs.join_rate = target.stat().st_size / (seconds[-1] - seconds[-2])  # done, last progress


def measure_scheduling(costs: Costs, folder: Path) -> None:
    """What the driver does for a segment beside waiting."""
    source = folder / "in.mp4"
    session = EnhanceSession(source, source, ModelOptions(model="identity"), EncodeOptions())
    setup = EnhanceSetup(session, processes=1)
    with hold_parts(folder / "plan.mp4") as held:
        parts = held.folder
        job = Job(source, folder / "plan.mp4")
        options = SegmentOptions(segment_seconds=SEGMENT_SECONDS)
        planned = PlanTask(job, options, parts, None).run(setup.make("auto"), Silent())
        holder = (parts.path / "lock").read_text()
        segment, chosen = planned.state.segments[0], planned.state.chosen
        part = EnhanceTask(job, 0, segment, chosen, parts, holder).run(setup.make("auto"), Silent())
        parts.remove()

    class Done(InlineExecutor):
        """Workers that have done everything."""

        workers = 8

        def poll(self, handle, seconds):
            key, task = self._given
            self._given = None
            if isinstance(task, PlanTask):
                state = replace(planned.state, segments=[segment] * count)
                result = replace(planned, state=state)
            else:
                result = part if isinstance(task, EnhanceTask) else part.outcome
                task.job.target.touch()
            handle(Finished(key, result, "host:1", 1.0))

    from vqe_fast.executors.executor import Finished

    taken, peaks = [], []
    for count in (40, 4000):
        job = Job(source, folder / f"out{count}.mp4")
        for traced in (False, True):
            if traced:
                tracemalloc.start()
            began = time.process_time()
            Scheduler(
                Done(setup, "cpu"), None, SegmentOptions(), lambda _: None, lambda _: None
            ).run([job])
            if traced:
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
            else:
                taken.append(time.process_time() - began)
    costs.schedule = (taken[1] - taken[0]) / 3960
    costs.memory = (peaks[1] - peaks[0]) / 3960


def measure_executors(costs: Costs) -> None:
    """What a task costs the driver, and how long a worker waits for the next."""
    for name, make in (
        ("pool", lambda: ProcessPool(Bare(), ["cpu", "cpu"], 1)),
        ("ray", lambda: RayCluster(Bare(), "local", worker_cpus=1)),
    ):
        ran: list[float] = []
        with make() as executor:
            give(executor, 20, ran)
            ran.clear()
            began, work = time.perf_counter(), time.process_time()
            give(executor, TASKS, ran)
            setattr(costs, name, (time.process_time() - work) / TASKS)
            if name == "ray":
                costs.round_trip = 2 * (time.perf_counter() - began) / TASKS


def give(executor, count: int, ran: list[float]) -> None:
    """Has so many tasks done."""
    given, done = 0, 0

    def handle(event) -> None:
        nonlocal done
        done += 1
        ran.append(event.result)

    while done < count:
        while given < count and executor.free:
            executor.submit(given, Nothing())
            given += 1
        executor.poll(handle, 1.0)


def tell(costs: Costs) -> None:
    """Prints the figures, and what follows from them."""
    driver, progress = costs.schedule + costs.ray, PROGRESS * costs.ray
    print(f"{cpu_name()}; a video of {MINUTES:g} minutes, segments of {SEGMENT_SECONDS:g} s\n")
    print("| serial part | measured |")
    print("|---|---|")
    print(f"| first look at a file | {costs.look:.2f} s |")
    print(f"| plan, an hour of video | {costs.plan:.1f} s |")
    print(f"| QPs, an hour, by workers | {costs.qp:.1f} s |")
    print(f"| joining, an hour, by its packets | {costs.join:.1f} s |")
    print(f"| joining, by its bytes | {costs.join_rate / 1e6:.0f} MB/s |")
    print(f"| scheduler, a segment | {costs.schedule * 1e3:.2f} ms |")
    print(f"| driver's processor time, a task over processes | {costs.pool * 1e3:.2f} ms |")
    print(f"| driver's processor time, a task on Ray | {costs.ray * 1e3:.2f} ms |")
    print(f"| a worker waits for its next task on Ray | {costs.round_trip * 1e3:.1f} ms |")
    print(f"| bytes of a task, and of its result | {costs.task_bytes}, {costs.part_bytes} |")
    print(f"| driver's memory for a segment | {costs.memory:.0f} bytes |")
    segments = HOURS * 3600 / SEGMENT_SECONDS
    print(
        f"\n{GPUS} GPUs, {HOURS:,} hours in files of {FILE_HOURS:g} h: {segments / 1e6:g} million"
    )
    print("segments, and of one driver:\n")
    print("| GPU, assumed | all takes | segments a second | driver busy | keeps busy | waiting |")
    print("|---|---|---|---|---|---|")
    for fps in GPU_FPS:
        on_gpu = SEGMENT_SECONDS * RATE / fps
        a_second = GPUS / on_gpu
        hours = segments * on_gpu / GPUS / 3600
        print(
            f"| {fps:g} fps | {hours:.0f} hours | {a_second:.0f} "
            f"| {progress + a_second * driver:.0%} of a core "
            f"| {on_gpu * (1 - progress) / driver:,.0f} GPUs | {costs.round_trip / on_gpu:.2%} |"
        )
    by_bytes = FILE_BYTES / costs.join_rate
    for fps in GPU_FPS:
        work = FILE_HOURS * 3600 * RATE / fps
        serial = costs.look + costs.plan + costs.join + by_bytes
        print(f"\nPlan and joining of an hour take {serial / work:.1%} of a worker at {fps:g} fps.")
    ahead = 3 * GPUS
    print(
        f"\nThe driver holds about {ahead:,} segments of open files: "
        f"{ahead * costs.memory / 1e6:.1f} MB."
    )


def compare(folder: Path, rounds: int) -> None:
    """Ray against the pool of processes, two workers each, in turns."""
    sources = []
    for number in range(2):
        sources.append(folder / f"{number}.mp4")
        make_source(sources[-1], 4)
    ways = {"processes": {"workers": 2}, "Ray": {"cluster": "local", "worker_cpus": 1}}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, options in ways.items():
            times: list[tuple[float, int]] = []

            def observe(event, times=times) -> None:
                if isinstance(event, FileStarted | SegmentDone):
                    frames = event.frames if isinstance(event, SegmentDone) else 0
                    times.append((time.perf_counter(), frames))

            files = [(path, folder / f"{turn}_{name}_{path.name}") for path in sources]
            enhance_videos(
                files,
                "carcnn_small",
                observe=observe,
                segment_seconds=10,
                precision="fp32",
                **options,
            )
            began = next(at for at, frames in times if frames)
            after = [frames for _, frames in times if frames][1:]
            rates[name].append(sum(after) / (times[-1][0] - began))
            print(f"{name}: {rates[name][-1]:.1f} frames a second", flush=True)
    ratios = [a / b for a, b in zip(rates["Ray"], rates["processes"], strict=True)]
    print(
        f"Ray over processes: {statistics.median(ratios):.3f}, "
        f"{min(ratios):.3f} to {max(ratios):.3f}"
    )


def main() -> None:
    """Measures and tells."""
    parser = argparse.ArgumentParser(description="Where a cluster saturates.")
    parser.add_argument("--overhead", type=int, metavar="ROUNDS", help="compare Ray and processes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.overhead:
            compare(Path(folder), arguments.overhead)
            sys.exit()
        costs = Costs()
        measure_file(costs, Path(folder))
        measure_joining(costs, Path(folder))
        measure_scheduling(costs, Path(folder))
        measure_executors(costs)
        tell(costs)


if __name__ == "__main__":
    main()
