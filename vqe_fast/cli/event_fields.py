"""Events of a run as names and fields of ``--log json``."""

from __future__ import annotations

from typing import Any

from vqe_fast.cli.batch_results import failure_in_words
from vqe_fast.cli.exit_codes import ExitCode, code_of
from vqe_fast.cli.remarks import code_of_report, remarks
from vqe_fast.cli.tally import RESULTS, Tally, result_name
from vqe_fast.video.events import (
    FileDone,
    FileFailed,
    FileRefused,
    FileSkipped,
    FileStarted,
    SegmentDone,
    WorkerLost,
)


def started_fields(event: FileStarted) -> dict[str, Any]:
    """Fields of ``file_started``."""
    return {
        "file": event.source,
        "target": event.target,
        "segments": event.segments,
        "frames": event.frames,
        "segments_resumed": event.resumed,
        "frames_resumed": event.frames_resumed,
        **_at(event.worker),
    }


def segment_fields(event: SegmentDone) -> dict[str, Any]:
    """Fields of ``segment_done``."""
    return {
        "file": event.source,
        "segment": event.segment,
        **_work(event.frames, event.seconds),
        **_at(event.worker),
    }


def lost_fields(event: WorkerLost) -> dict[str, Any]:
    """Fields of ``worker_lost``."""
    return {
        "file": event.source,
        "work": event.work,
        "error": event.how,
        "again": event.again,
        **_at(event.worker),
    }


def end_fields(event: FileDone | FileSkipped | FileRefused | FileFailed) -> dict[str, Any]:
    """Fields of an event that tells what has become of a file."""
    if isinstance(event, FileDone):
        report = event.report
        return {
            "file": event.source,
            "target": report.target,
            "result": result_name(event),
            **_work(report.frames_out - report.frames_resumed, report.seconds),
            "segments": report.segments,
            "segments_resumed": report.resumed,
            "workers_lost": event.workers_lost,
            "remarks": remarks(report),
            "exit_code": code_of_report(report),
        }
    names = {"file": event.source, "target": event.target}
    if isinstance(event, FileSkipped):
        return names | {"reason": event.why, "exit_code": ExitCode.DONE}
    if isinstance(event, FileRefused):
        return names | {"error": str(event.error), "exit_code": code_of(event.error)}
    told = {"error": failure_in_words(event.error), "exit_code": ExitCode.WORKERS_FAILED}
    return names | told | {"trace": event.trace}


def progress_fields(tally: Tally) -> dict[str, Any]:
    """Fields of ``progress``."""
    left = tally.seconds_left
    return {
        "files_done": tally.ended.total(),
        "files": tally.files,
        "frames_done": tally.done,
        "frames": tally.all_frames,
        "workers": tally.workers,
        "fps": round(tally.fps, 3),
        "seconds": round(tally.seconds, 3),
        "seconds_left": None if left is None else round(left, 3),
    }


def run_fields(tally: Tally) -> dict[str, Any]:
    """Counts of a run at its end."""
    return {
        "files": tally.files,
        "results": {name: tally.ended[name] for name in RESULTS},
        "segments": tally.segments,
        "workers_lost": tally.workers_lost,
        **_work(tally.frames, tally.seconds),
    }


def _work(frames: int, seconds: float) -> dict[str, Any]:
    fps = round(frames / seconds, 3) if seconds > 0 else None
    return {"frames": frames, "seconds": round(seconds, 3), "fps": fps}


def _at(worker: str) -> dict[str, Any]:
    return {"node": worker.rpartition(":")[0], "worker": worker}
