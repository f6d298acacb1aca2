"""Events of a run over files, as its scheduler tells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from vqe_fast.video.report import EnhanceReport


@dataclass(frozen=True)
class FileStarted:
    """A file is planned, and its segments are in the queue.

    Attributes:
        source: the file.
        target: what is to be written.
        segments: how many there are; None if it is enhanced in one pass.
        frames: how many it has; in one pass an estimate, or None.
        resumed: segments that an earlier run had finished.
        frames_resumed: of the frames, those of these segments.
        worker: where it was planned.
    """

    source: str
    target: str
    segments: int | None
    frames: int | None
    resumed: int
    frames_resumed: int
    worker: str


@dataclass(frozen=True)
class SegmentDone:
    """A segment is enhanced, and its part kept.

    Attributes:
        source: the file.
        segment: its number, from 1 on.
        frames: how many it has.
        seconds: that it took.
        worker: where.
    """

    source: str
    segment: int
    frames: int
    seconds: float
    worker: str


@dataclass(frozen=True)
class WorkerLost:
    """A worker died, or ran out of memory; what it did is done again, unless ``again`` is false.

    Attributes:
        source: the file that it worked on.
        work: what it did, such as ``segment 3``.
        how: in words.
        worker: where.
        again: whether that is begun again.
    """

    source: str
    work: str
    how: str
    worker: str
    again: bool


@dataclass(frozen=True)
class FileDone:
    """A file is written.

    Attributes:
        source: the file.
        report: what was done.
        workers_lost: how often a worker was lost over it.
    """

    source: str
    report: EnhanceReport
    workers_lost: int


@dataclass(frozen=True)
class FileSkipped:
    """There is nothing to do for a file.

    Attributes:
        source: the file.
        target: what it would be written to.
        was_there: whether the target was there already; else another process works on it.
        why: in words.
    """

    source: str
    target: str
    was_there: bool
    why: str


@dataclass(frozen=True)
class FileRefused:
    """A file cannot be enhanced, or not with these options.

    Attributes:
        source: the file.
        target: what it would be written to.
        error: which says why, for the user.
    """

    source: str
    target: str
    error: Exception


@dataclass(frozen=True)
class FileFailed:
    """A file was set aside, as workers died or failed over it.

    Attributes:
        source: the file.
        target: what it would be written to.
        error: which says how.
        trace: the traceback of a worker's exception; None if it died.
    """

    source: str
    target: str
    error: Exception
    trace: str | None


@dataclass(frozen=True)
class WorkersAwaited:
    """There is work, and for some time there has been no worker: a cluster is full, or starts.

    Attributes:
        seconds: how long.
    """

    seconds: float


@dataclass(frozen=True)
class Advanced:
    """Frames are done.

    Attributes:
        source: the file that they are of.
        done: how many of it are done, with those of an earlier run.
        frames: how many it has; in one pass an estimate, or None.
        all_done: how many of all files are done.
        all_frames: how many all files have, or None; estimated, as long as not all of them are
            planned.
        workers: how many workers there are.
    """

    source: str
    done: int
    frames: int | None
    all_done: int
    all_frames: int | None
    workers: int


RunEvent: TypeAlias = (
    FileStarted
    | SegmentDone
    | WorkerLost
    | FileDone
    | FileSkipped
    | FileRefused
    | FileFailed
    | WorkersAwaited
    | Advanced
)
"""What a scheduler tells."""

Observer: TypeAlias = Callable[[RunEvent], None]
"""Who is told."""
