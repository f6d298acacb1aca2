"""``FileRun``: what a scheduler knows of one file: its lock, its plan, what is finished."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from vqe_fast.executors.worker import worker_name
from vqe_fast.video.errors import VideoError, storage_refusals
from vqe_fast.video.report import EnhanceReport, Outcome
from vqe_fast.video.segments.packet_file import checksum
from vqe_fast.video.segments.parts_folder import PartsFolder
from vqe_fast.video.segments.parts_lock import hold_parts
from vqe_fast.video.segments.plan_task import Planned
from vqe_fast.video.segments.resume_state import Part, State
from vqe_fast.video.segments.worker_setup import Job


class FileRun:
    """The enhancement of one file in segments, from its lock to its report.

    Only numbers are kept in memory of each segment; parts stay in their folder.

    Attributes:
        job: the file.
        holder: the name of this process in the lock.
        begun: the state of an earlier run; None if there was none.
        todo: numbers of the segments that are not finished and not given to a worker.
        attempts: how often a worker was lost over each task, by its name.
        is_sent: whether a worker does not see the folder, and sends its parts.
        is_written: whether the target is complete.
        has_ended: whether nothing is to be done for the file any more.

    Raises:
        HeldError: another process works on it.
        VideoError: the folder cannot be made or read.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.todo: deque[int] = deque()
        self.attempts: Counter[str] = Counter()
        self.is_sent = self.is_written = self.has_ended = False
        self.holder = worker_name()
        self._began = time.perf_counter()
        self._planned: Planned | None = None
        self._left = self._frames = 0
        self._done = self._resumed = self._frames_resumed = 0
        self._moving = 0
        self._under_way: dict[int, int] = {}
        self._drafts: dict[int, BinaryIO] = {}
        self._lock = ExitStack()
        with storage_refusals():
            self._held = self._lock.enter_context(hold_parts(job.target))
            try:
                self.begun = self.folder.load()
            except BaseException:
                self._lock.close()
                raise

    @property
    def folder(self) -> PartsFolder:
        """The folder of the parts, which this process has locked."""
        return self._held.folder

    @property
    def state(self) -> State:
        """The plan, once there is one."""
        assert self._planned is not None
        return self._planned.state

    @property
    def is_enhanced(self) -> bool:
        """Whether all segments are finished."""
        return self._planned is not None and self._left == 0

    @property
    def done(self) -> int:
        """Frames that are done, with those of segments under way and of an earlier run."""
        return self._done + self._moving

    @property
    def frames(self) -> int:
        """Frames of all segments, by the plan; 0 before there is one."""
        return self._frames

    @property
    def resumed(self) -> int:
        """Segments that an earlier run had finished."""
        return self._resumed

    @storage_refusals()
    def plan(self, planned: Planned) -> None:
        """Takes the plan, and what an earlier run has finished; VideoError if it is unreadable."""
        self._planned = planned
        segments = planned.state.segments
        self._frames = sum(segment.frames for segment in segments)
        finished = self.folder.tidy(len(segments))
        self.folder.save(planned.state)
        self._resumed = len(finished)
        self._done = self._frames_resumed = sum(finished.values())
        self.todo.extend(number for number in range(len(segments)) if number not in finished)
        self._left = len(self.todo)

    def progress(self, number: int, frames: int) -> None:
        """Notes how many frames of a segment are done."""
        self._moving += frames - self._under_way.get(number, 0)
        self._under_way[number] = frames

    def receive(self, number: int, data: bytes) -> None:
        """Takes a piece of a part whose worker does not see the folder.

        Raises:
            VideoError: it cannot be written.
        """
        self.is_sent = True
        draft = self._draft(number)
        try:
            if number not in self._drafts:
                self._drafts[number] = draft.open("wb")
            self._drafts[number].write(data)
        except OSError as error:
            raise VideoError(f"{draft} cannot be written: {error.strerror}") from error

    @storage_refusals()
    def finish(self, number: int, part: Part) -> None:
        """Notes that a segment is finished.

        Raises:
            VideoError: its packets did not arrive as they were sent, or the lock was lost.
        """
        self._held.check()
        if number in self._drafts:
            self._keep(number, part)
        self._moving -= self._under_way.pop(number, 0)
        self._done += part.facts.frames
        self._left -= 1

    def _keep(self, number: int, part: Part) -> None:
        """Keeps the packets that a worker has sent."""
        draft = self._draft(number)
        try:
            self._drafts[number].close()
            if checksum(draft) != part.facts.sha256:
                raise VideoError(
                    f"a part of {self.job.source} was changed on its way from a worker; go on "
                    "with --resume"
                )
            os.replace(draft, draft.with_suffix(".packets"))
        except OSError as error:
            raise VideoError(f"{draft} cannot be written: {error.strerror}") from error
        del self._drafts[number]
        self.folder.put(number, part)

    def drop(self, number: int) -> None:
        """Forgets what has come of a segment."""
        self._moving -= self._under_way.pop(number, 0)
        draft = self._drafts.pop(number, None)
        if draft is not None:
            with suppress(OSError):  # what it could not write does not matter any more
                draft.close()
            self._draft(number).unlink(missing_ok=True)

    @storage_refusals()
    def report(self, outcome: Outcome) -> EnhanceReport:
        """The report, once the target is written."""
        assert self._planned is not None
        state, particulars = self._planned.state, self._planned.particulars
        crf = state.chosen["crf"]
        return EnhanceReport(
            **vars(outcome),
            **vars(particulars if crf is None else replace(particulars, crf=crf)),
            source=str(self.job.source),
            target=str(self.job.target),
            seconds=time.perf_counter() - self._began,
            time_restarts=0,  # such a file is not cut
            segments=len(state.segments),
            resumed=self._resumed,
            frames_resumed=self._frames_resumed,
            target_bytes=self.job.target.stat().st_size,
        )

    def close(self) -> None:
        """Gives up the lock; the folder goes if it is not worth keeping."""
        for number in list(self._drafts):
            self.drop(number)
        has_parts = self._done > 0 or (self._planned is not None and self.is_enhanced)
        if self.is_written or (self.begun is None and not has_parts):
            self.folder.remove()
        self._lock.close()

    def _draft(self, number: int) -> Path:
        packets = self.folder.packets(number)
        assert isinstance(packets, Path)  # a storage system is seen by all workers
        return packets.with_suffix(".draft")
