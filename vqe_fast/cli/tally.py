"""``Tally``: counts of a run, from its events."""

from __future__ import annotations

import time
from collections import Counter, deque

from vqe_fast.video.events import (
    Advanced,
    FileDone,
    FileFailed,
    FileRefused,
    FileSkipped,
    FileStarted,
    RunEvent,
    SegmentDone,
    WorkerLost,
    WorkersAwaited,
)

RESULTS = ("done", "damaged", "skipped", "refused", "failed")
"""What becomes of files."""

_WINDOW_SECONDS, _SAMPLE_SECONDS = 60.0, 1.0


class Tally:
    """Counts of a run so far.

    Attributes:
        files: how many files the run has.
        ended: how many of them ended how, by :data:`RESULTS`.
        segments: how many this run has finished.
        workers: how many there are.
        workers_lost: how often one was lost.
        done: frames that are done, with those of an earlier run.
        all_frames: how many there are, as far as that is known.
    """

    def __init__(self) -> None:
        self.files = 0
        self.ended: Counter[str] = Counter()
        self.segments = self.workers = self.workers_lost = self.done = 0
        self.all_frames: int | None = None
        self._began = time.monotonic()
        self._under_way: dict[str, tuple[int, int]] = {}  # file → frames at its start, and now
        self._ended_frames = self._most = 0
        self._samples = deque([(self._began, 0)])

    @property
    def seconds(self) -> float:
        """Wall-clock time since the beginning."""
        return time.monotonic() - self._began

    @property
    def frames(self) -> int:
        """Frames that this run has enhanced; what is done again after a loss counts once."""
        return self._most

    @property
    def fps(self) -> float:
        """Frames a second of all workers in the last minute."""
        since, before = self._samples[0]
        passed = time.monotonic() - since
        return (self._most - before) / passed if passed > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """The time that is left, or None if that is not known."""
        if self.all_frames is None or self.fps <= 0:
            return None
        return max(self.all_frames - self.done, 0) / self.fps

    def in_words(self) -> str:
        """How many files are done and how many workers there are, where there are several."""
        parts = [f"{self.ended.total()}/{self.files} files"] if self.files > 1 else []
        if self.workers > 1:
            parts.append(f"{self.workers} workers")
        return ", ".join(parts)

    def observe(self, event: RunEvent) -> None:
        """Counts an event."""
        if isinstance(event, FileStarted):
            self._under_way[event.source] = (event.frames_resumed, event.frames_resumed)
        elif isinstance(event, Advanced):
            before, _ = self._under_way.get(event.source, (0, 0))
            self._under_way[event.source] = (before, event.done)
            self.done, self.all_frames = event.all_done, event.all_frames
            self.workers = event.workers
            self._sum_up()
        elif isinstance(event, SegmentDone):
            self.segments += 1
        elif isinstance(event, WorkerLost):
            self.workers_lost += 1
        elif isinstance(event, WorkersAwaited):
            self.workers = 0
        else:
            self._end(event)

    def _end(self, event: FileDone | FileSkipped | FileRefused | FileFailed) -> None:
        self.ended[result_name(event)] += 1
        before, now = self._under_way.pop(event.source, (0, 0))
        self._ended_frames += now - before
        self._sum_up()

    def _sum_up(self) -> None:
        under_way = sum(now - before for before, now in self._under_way.values())
        self._most = max(self._most, self._ended_frames + under_way)
        now = time.monotonic()
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, self._most))
        while len(self._samples) > 1 and now - self._samples[1][0] >= _WINDOW_SECONDS:
            self._samples.popleft()


def result_name(event: FileDone | FileSkipped | FileRefused | FileFailed) -> str:
    """What has become of a file, by one of :data:`RESULTS`."""
    if isinstance(event, FileDone):
        return "damaged" if event.report.is_damaged else "done"
    if isinstance(event, FileSkipped):
        return "skipped"
    return "refused" if isinstance(event, FileRefused) else "failed"
