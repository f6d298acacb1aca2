"""``--metrics``: figures of a run as a Prometheus text file, for node exporter's collector."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from vqe_fast._atomic_write import atomic_write
from vqe_fast.cli.pipes import PIPE
from vqe_fast.cli.report_file import refuse_unwritable
from vqe_fast.cli.tally import RESULTS, Tally
from vqe_fast.storage.location import Location
from vqe_fast.video import VideoError

_EVERY_SECONDS = 10.0

_METRICS = (
    ("frames_total", "counter", "Frames that the run has enhanced."),
    ("segments_total", "counter", "Segments that the run has finished."),
    ("files", "gauge", "Files of the run that have ended, by result."),
    ("workers", "gauge", "Workers that there are now."),
    ("workers_lost_total", "counter", "Workers that died or ran out of memory."),
    ("frames_per_second", "gauge", "Frames a second of all workers in the last minute."),
    ("last_update_seconds", "gauge", "Unix time at which this file was written."),
)


def refuse_metrics(path: Path, target: Location, report: Path | None) -> None:
    """Checks, before any work, that metrics can be written.

    Raises:
        VideoError: they cannot.
    """
    if path == PIPE:
        raise VideoError("metrics are written anew again and again; give the name of a file")
    if path in (target, report):
        raise VideoError(f"{path} can take the metrics or something else, not both")
    refuse_unwritable(path, "metrics file")


class MetricsFile:
    """Writer of the figures of a run, every ten seconds at most.

    Args:
        path: the file.
        tally: the figures.
        say: told, once, that the file cannot be written any more; the work goes on.
    """

    def __init__(self, path: Path, tally: Tally, say: Callable[[str], None]) -> None:
        self._path, self._tally, self._say = path, tally, say
        self._has_said = False
        self._write(is_over=False)

    def refresh(self) -> None:
        """Writes the figures if the last time was long enough ago."""
        if time.monotonic() - self._written >= _EVERY_SECONDS:
            self._write(is_over=False)

    def close(self) -> None:
        """Writes the figures for the last time, when no worker is left."""
        self._write(is_over=True)

    def _write(self, *, is_over: bool) -> None:
        self._written = time.monotonic()
        try:
            # Meanwhile it has another suffix: the collector reads all files of this one.
            with atomic_write(self._path, ".tmp") as draft:
                draft.write_text(metrics_text(self._tally, is_over=is_over), "utf-8")
        except OSError as error:
            if not self._has_said:
                self._has_said = True
                self._say(f"the metrics file {self._path} cannot be written: {error.strerror}")


def metrics_text(tally: Tally, *, is_over: bool) -> str:
    """The figures in Prometheus's text format.

    Args:
        tally: the figures.
        is_over: whether the run has ended, and nothing works any more.
    """
    values: dict[str, float] = {
        "frames_total": tally.frames,
        "segments_total": tally.segments,
        "workers": 0 if is_over else tally.workers,
        "workers_lost_total": tally.workers_lost,
        "frames_per_second": 0.0 if is_over else round(tally.fps, 3),
        "last_update_seconds": round(time.time(), 3),
    }
    lines = []
    for name, kind, about in _METRICS:
        lines += [f"# HELP vqe_fast_{name} {about}", f"# TYPE vqe_fast_{name} {kind}"]
        if name == "files":
            lines += [f'vqe_fast_files{{result="{each}"}} {tally.ended[each]}' for each in RESULTS]
        else:
            lines.append(f"vqe_fast_{name} {values[name]}")
    return "\n".join(lines) + "\n"
