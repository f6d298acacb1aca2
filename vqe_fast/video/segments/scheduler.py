"""Scheduler of segments: plans files, has their segments enhanced, and joins them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vqe_fast.executors.executor import (
    Chunk,
    Event,
    Executor,
    Failed,
    Finished,
    Lost,
    Progress,
    Refused,
    Task,
)
from vqe_fast.storage.errors import StorageError
from vqe_fast.video.errors import (
    HeldError,
    MissingError,
    SkippedError,
    SourceError,
    VideoError,
    WorkerError,
)
from vqe_fast.video.events import (
    Advanced,
    FileDone,
    FileFailed,
    FileRefused,
    FileSkipped,
    FileStarted,
    Observer,
    SegmentDone,
    WorkerLost,
    WorkersAwaited,
)
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.report import Outcome
from vqe_fast.video.segments.enhance_task import EnhanceTask
from vqe_fast.video.segments.file_run import FileRun
from vqe_fast.video.segments.join_task import JoinTask
from vqe_fast.video.segments.plan_task import Planned, PlanTask
from vqe_fast.video.segments.resume_state import Part
from vqe_fast.video.segments.worker_setup import EnhanceContext, Job

_ATTEMPTS = 2
_POLL_SECONDS = 1.0
_WAITING_SECONDS = 30.0
_AHEAD = 2
"""Segments for each worker that should be in the queue before the next file can wait."""

_PLAN, _JOIN = "the plan", "the joining"


@dataclass(frozen=True)
class _Given:
    """A task that a worker has."""

    file: FileRun
    work: str
    number: int = -1


class Scheduler:
    """Scheduler of any number of files over any executor.

    Segments of all files are in one queue; of several workers, those of large files come first. A
    task whose worker is lost is done again by another; one that loses two is set aside with its
    file, and the others go on.

    Args:
        executor: whose workers do the tasks; it is left when all is done.
        context: for what this process has to do itself.
        options: how files are cut.
        admit: called with each file before its work begins, to raise ``VideoError`` if it is to be
            refused, or ``SkippedError`` if it is to be skipped.
        observe: told what happens.
    """

    def __init__(
        self,
        executor: Executor,
        context: EnhanceContext,
        options: SegmentOptions,
        admit: Callable[[Job], None],
        observe: Observer,
    ) -> None:
        self._executor, self._context = executor, context
        self._options, self._admit, self._observe = options, admit, observe
        self._waiting: deque[Job] = deque()
        self._queue: deque[FileRun] = deque()
        self._urgent: deque[tuple[_Given, Task]] = deque()
        self._open: list[FileRun] = []
        self._given: dict[int, _Given] = {}
        self._key = 0
        self._done = self._frames = 0
        self._sizes: dict[Job, int] = {}
        self._planned = self._unplanned = 0
        self._alone_since = self._said = time.monotonic()

    def run(self, jobs: Iterable[Job]) -> None:
        """Enhances all files; what becomes of each is told as an event.

        Raises:
            ExecutorError: there are no workers any more.
        """
        self._sizes = {job: _bytes(job) for job in jobs}
        self._unplanned = sum(self._sizes.values())
        self._waiting.extend(self._sizes)
        if self._executor.workers != 1:
            by_size = sorted(self._sizes, key=self._sizes.__getitem__, reverse=True)
            self._waiting = deque(by_size)
        try:
            with self._executor:
                while self._has_work():
                    self._hand_out()
                    if self._has_work():
                        self._executor.poll(self._handle, _POLL_SECONDS)
                        self._tell_of_waiting()
        finally:
            for file in self._open:
                file.close()

    def _tell_of_waiting(self) -> None:
        now = time.monotonic()
        if self._executor.workers:
            self._alone_since = self._said = now
        elif now - self._said >= _WAITING_SECONDS:
            self._said = now
            self._observe(WorkersAwaited(now - self._alone_since))

    def _has_work(self) -> bool:
        return bool(self._waiting) or any(not file.has_ended for file in self._open)

    def _hand_out(self) -> None:
        while self._executor.free and self._hand_out_one():
            pass

    def _hand_out_one(self) -> bool:
        """Gives a worker the most urgent task; False if there is none."""
        if self._urgent:
            self._give(*self._urgent.popleft())
            return True
        workers = self._executor.workers
        queued = sum(len(file.todo) for file in self._queue)
        if self._waiting and (not queued or (workers > 1 and queued < _AHEAD * workers)):
            self._begin(self._waiting.popleft())
            return True
        if not self._queue:
            return False
        file = self._queue[0]
        number = file.todo.popleft()
        if not file.todo:
            self._queue.popleft()
        state = file.state
        task = EnhanceTask(
            file.job, number, state.segments[number], state.chosen, file.folder, file.holder
        )
        self._give(_Given(file, f"segment {number + 1}", number), task)
        return True

    def _begin(self, job: Job) -> None:
        try:
            self._admit(job)
            file = FileRun(job)
        except SkippedError as error:
            self._count_off(job)
            was_there = not isinstance(error, HeldError)
            self._observe(FileSkipped(str(job.source), str(job.target), was_there, str(error)))
        except VideoError as error:
            self._count_off(job)
            self._observe(FileRefused(str(job.source), str(job.target), error))
        else:
            self._open.append(file)
            self._urgent.append(self._planning(file))

    def _planning(self, file: FileRun) -> tuple[_Given, Task]:
        task = PlanTask(file.job, self._options, file.folder, file.begun)
        return _Given(file, _PLAN), task

    def _join(self, file: FileRun) -> None:
        task = JoinTask(file.job, file.state, file.folder, file.holder)
        if not file.is_sent:
            self._urgent.append((_Given(file, _JOIN), task))
            return
        try:  # only this process sees the parts
            outcome = task.run(self._context, _Silent())
        except VideoError as error:
            self._refuse(file, error)
        else:
            assert outcome is not None
            self._complete(file, outcome)
        self._close_unless_busy(file)

    def _give(self, given: _Given, task: Task) -> None:
        self._key += 1
        self._given[self._key] = given
        self._executor.submit(self._key, task)

    def _handle(self, event: Event) -> None:
        given = self._given[event.key]
        file = given.file
        if isinstance(event, Progress):
            file.progress(given.number, event.done)
            self._tell_progress(file)
            return
        if isinstance(event, Chunk):
            self._receive(given, event)
            return
        del self._given[event.key]
        if file.has_ended:
            file.drop(given.number)
        elif isinstance(event, Finished):
            self._finished(given, event)
        else:
            file.drop(given.number)
            self._not_finished(given, event)
        self._close_unless_busy(file)

    def _receive(self, given: _Given, event: Chunk) -> None:
        if given.file.has_ended:
            return
        try:
            given.file.receive(given.number, event.data)
        except VideoError as error:
            self._refuse(given.file, error)

    def _finished(self, given: _Given, event: Finished) -> None:
        try:
            self._take(given, event)
        except VideoError as error:
            self._refuse(given.file, error)

    def _take(self, given: _Given, event: Finished) -> None:
        """Takes the result of a task; VideoError if that cannot be kept."""
        file, result = given.file, event.result
        if isinstance(result, Planned):
            self._plan(file, result, event.worker)
        elif isinstance(result, Part):
            file.finish(given.number, result)
            frames, seconds = result.facts.frames, event.seconds
            name = str(file.job.source)
            self._observe(SegmentDone(name, given.number + 1, frames, seconds, event.worker))
            self._tell_progress(file)
        elif isinstance(result, Outcome):
            self._complete(file, result)
            return
        else:
            file.is_sent = True  # the worker that was to join does not see the folder
        if file.is_enhanced:
            self._join(file)

    def _plan(self, file: FileRun, planned: Planned, worker: str) -> None:
        file.plan(planned)
        size = self._sizes.pop(file.job)
        self._planned += size
        self._unplanned -= size
        self._observe(
            FileStarted(
                source=str(file.job.source),
                target=str(file.job.target),
                segments=len(planned.state.segments),
                frames=file.frames,
                resumed=file.resumed,
                frames_resumed=file.done,
                worker=worker,
            )
        )
        if file.resumed:
            self._tell_progress(file)
        if file.todo:
            self._queue.append(file)

    def _not_finished(self, given: _Given, event: Refused | Failed | Lost) -> None:
        file = given.file
        if isinstance(event, Refused):
            self._refuse(file, _explained(event, file.job))
        elif isinstance(event, Failed):
            said = WorkerError(f"a worker failed: {event.what}", event.trace)
            self._fail(file, event.error or said, event.trace)
        else:
            file.attempts[given.work] += 1
            again = file.attempts[given.work] < _ATTEMPTS
            name = str(file.job.source)
            self._observe(WorkerLost(name, given.work, event.how, event.worker, again))
            if again:
                self._do_again(given)
            else:
                self._fail(
                    file,
                    WorkerError(
                        f"a worker {event.how} twice over {given.work} of {name}, as when memory "
                        "runs out; take fewer workers or less --max-memory, and go on with "
                        "--resume"
                    ),
                )

    def _do_again(self, given: _Given) -> None:
        file = given.file
        if given.work == _PLAN:
            self._urgent.append(self._planning(file))
        elif given.work == _JOIN:
            self._join(file)
        else:
            if not file.todo:
                self._queue.appendleft(file)
            file.todo.appendleft(given.number)

    def _complete(self, file: FileRun, outcome: Outcome) -> None:
        report = file.report(outcome)
        file.is_written = True
        self._end(file)
        self._close_unless_busy(file)
        self._observe(FileDone(str(file.job.source), report, file.attempts.total()))

    def _refuse(self, file: FileRun, error: Exception) -> None:
        self._end(file)
        self._observe(FileRefused(str(file.job.source), str(file.job.target), error))

    def _fail(self, file: FileRun, error: Exception, trace: str | None = None) -> None:
        self._end(file)
        self._observe(FileFailed(str(file.job.source), str(file.job.target), error, trace))

    def _end(self, file: FileRun) -> None:
        file.has_ended = True
        self._count_off(file.job)
        self._done += file.done
        self._frames += file.frames
        if file in self._queue:
            self._queue.remove(file)

    def _close_unless_busy(self, file: FileRun) -> None:
        """Gives up the lock of a file that has ended, once no worker is at it."""
        if not file.has_ended or file not in self._open:
            return
        if all(given.file is not file for given in self._given.values()):
            self._open.remove(file)
            file.close()

    def _tell_progress(self, file: FileRun) -> None:
        alive = [each for each in self._open if not each.has_ended]
        self._observe(
            Advanced(
                source=str(file.job.source),
                done=file.done,
                frames=file.frames,
                all_done=self._done + sum(each.done for each in alive),
                all_frames=self._all_frames(self._frames + sum(each.frames for each in alive)),
                workers=self._executor.workers,
            )
        )

    def _count_off(self, job: Job) -> None:
        """Takes a file that there is no plan of out of the frames to expect."""
        self._unplanned -= self._sizes.pop(job, 0)

    def _all_frames(self, planned: int) -> int:
        """Frames of all files, of those not planned by their bytes."""
        known = self._planned
        return planned + round(planned * self._unplanned / known) if known else planned


class _Silent:
    """A report that nobody reads."""

    def progress(self, done: int) -> None:
        """Takes note of nothing."""

    def chunk(self, data: bytes) -> None:
        """Takes nothing."""


def _explained(event: Refused, job: Job) -> Exception:
    """The error of a worker, which may see other files than this process does."""
    is_here = isinstance(job.source, Path) and job.source.exists()
    if isinstance(event.error, MissingError) and is_here:
        return SourceError(
            f"the worker {event.worker} does not see {job.source}: put it where every node of the "
            "cluster reads it under the same name, or name it by a URL"
        )
    return event.error


def _bytes(job: Job) -> int:
    try:
        return job.source.stat().st_size
    except (OSError, StorageError):  # whoever plans it says why
        return 0
