"""``RunOutput``: what ``vqe-fast enhance`` tells while it works, in words, JSON and metrics."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

import typer

from vqe_fast._version import __version__
from vqe_fast.cli.event_fields import (
    end_fields,
    lost_fields,
    progress_fields,
    run_fields,
    segment_fields,
    started_fields,
)
from vqe_fast.cli.exit_codes import ExitCode, code_of, say_error, say_refusal, sentence_of
from vqe_fast.cli.in_words import time_in_words
from vqe_fast.cli.json_log import JsonLog
from vqe_fast.cli.metrics_file import MetricsFile
from vqe_fast.cli.progress_bar import Progress, progress_bar
from vqe_fast.cli.tally import Tally
from vqe_fast.storage.location import Location
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

_PROGRESS_SECONDS = 30.0

_ENDS: dict[type[RunEvent], str] = {
    FileDone: "file_done",
    FileSkipped: "file_skipped",
    FileRefused: "file_refused",
    FileFailed: "file_failed",
}


class RunOutput:
    """What a run tells.

    Args:
        log: for events as JSON; None for sentences and a bar.
        quiet: say nothing about success.
    """

    def __init__(self, log: JsonLog | None, quiet: bool) -> None:
        self._log, self.quiet = log, quiet
        self._tally = Tally()
        self._shown: Progress | None = None
        self._metrics: MetricsFile | None = None
        self._has_begun = False
        self._told = time.monotonic()

    @contextmanager
    def metrics(self, path: Path | None) -> Iterator[None]:
        """Writes metrics meanwhile, and at the end, whatever that is."""
        if path is None:
            yield
            return
        self._metrics = MetricsFile(path, self._tally, self._warn)
        try:
            yield
        finally:
            self._metrics.close()

    @contextmanager
    def progress(self, title: str | None = None) -> Iterator[Progress | None]:
        """Shows how many frames are done; yields None where that is not to be seen."""
        hidden = self.quiet or self._log is not None
        with progress_bar(title, quiet=hidden, frames=True) as self._shown:
            try:
                yield self._shown
            finally:
                self._shown = None

    @property
    def workers_lost(self) -> int:
        """How often a worker was lost."""
        return self._tally.workers_lost

    @property
    def frames(self) -> int:
        """Frames that the run has enhanced."""
        return self._tally.frames

    def begin(self, sources: Sequence[Location], target: Location, files: int) -> None:
        """Tells that the work on so many files begins."""
        self._has_begun = True
        self._tally.files = files
        if self._log is not None:
            self._log.write(
                "run_started",
                inputs=[str(each) for each in sources],
                output=str(target),
                files=files,
                version=__version__,
                node=platform.node(),
                process=os.getpid(),
            )

    def observe(self, event: RunEvent) -> None:
        """Tells an event."""
        self._tally.observe(event)
        if self._log is not None:
            self._write(self._log, event)
        elif isinstance(event, WorkerLost | WorkersAwaited) and self._shown is not None:
            self._shown.say(in_words(event))
        if self._metrics is not None:
            self._metrics.refresh()

    def entitle(self) -> None:
        """Writes before the bar how many files and workers there are, where there are several."""
        if self._shown is not None:
            self._shown.entitle(self._tally.in_words())

    def say(self, text: str, *, to_stderr: bool) -> None:
        """Prints what was done; not on a standard error that is for JSON."""
        if not self.quiet and not (to_stderr and self._log is not None):
            typer.echo(text, err=to_stderr)

    def remark(self, text: str) -> None:
        """Prints a sentence about a file, which in JSON is part of an event."""
        if self._log is None:
            say_error(text)

    def refused(self, error: Exception) -> None:
        """Tells that the run ends with an error."""
        if self._log is None:
            say_refusal(error)
            return
        about = {"error": sentence_of(error), "exit_code": code_of(error)}
        if self._has_begun:
            self._log.write("run_done", **run_fields(self._tally), **about)
        else:
            self._log.write("run_refused", **about)

    def interrupted(self, text: str) -> None:
        """Tells that the run was interrupted."""
        if self._log is None:
            say_error(text)
        else:
            code = ExitCode.INTERRUPTED
            self._log.write("interrupted", **run_fields(self._tally), text=text, exit_code=code)

    def end(self, code: ExitCode) -> None:
        """Tells that the run has come to its end."""
        if self._log is not None:
            self._log.write("run_done", **run_fields(self._tally), exit_code=code)

    def _write(self, log: JsonLog, event: RunEvent) -> None:
        if isinstance(event, Advanced):
            if time.monotonic() - self._told >= _PROGRESS_SECONDS:
                self._told = time.monotonic()
                log.write("progress", file=event.source, **progress_fields(self._tally))
        elif isinstance(event, FileStarted):
            log.write("file_started", **started_fields(event))
        elif isinstance(event, SegmentDone):
            log.write("segment_done", **segment_fields(event))
        elif isinstance(event, WorkerLost):
            log.write("worker_lost", **lost_fields(event))
        elif isinstance(event, WorkersAwaited):
            log.write("workers_awaited", seconds=round(event.seconds, 3))
        else:
            log.write(_ENDS[type(event)], **end_fields(event))

    def _warn(self, text: str) -> None:
        if self._log is None:
            say_error(text)
        else:
            self._log.write("output", text=text)


def in_words(event: WorkerLost | WorkersAwaited) -> str:
    """The sentence about a worker that was lost, or about there being none."""
    if isinstance(event, WorkersAwaited):
        waited = time_in_words(event.seconds)
        return (
            f"there has been no worker for {waited}: the cluster is full or starts; still waiting"
        )
    name = PurePath(event.source).name
    then = "it is done again" if event.again else f"{name} is set aside"
    return f"worker {event.worker} {event.how} over {event.work} of {name}; {then}"
