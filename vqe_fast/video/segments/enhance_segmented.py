"""``enhance_segmented``: the enhancement of files in segments, and what becomes of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vqe_fast.executors.executor import ExecutorError, UnsendableError
from vqe_fast.storage.location import absolute
from vqe_fast.video.errors import HeldError, WorkerError
from vqe_fast.video.events import (
    Advanced,
    FileDone,
    FileFailed,
    FileRefused,
    FileSkipped,
    Observer,
    RunEvent,
)
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.report import EnhanceReport
from vqe_fast.video.segments.executors import cannot_be_sent, executor_for
from vqe_fast.video.segments.scheduler import Scheduler
from vqe_fast.video.segments.worker_setup import EnhanceSetup, Job
from vqe_fast.video.session import EnhanceSession


def enhance_all(
    session: EnhanceSession,
    options: SegmentOptions,
    jobs: Iterable[Job],
    admit: Callable[[Job], None],
    observe: Observer,
) -> None:
    """Enhances files in segments, by whatever workers the options ask for.

    Args:
        session: whose options are those of all files.
        options: how they are cut, and by whom they are enhanced.
        jobs: the files.
        admit: see :class:`.scheduler.Scheduler`.
        observe: told what happens.

    Raises:
        VideoError: the options do not allow it.
        WorkerError: there are no workers, or not any more.
    """
    here = EnhanceSetup(session, processes=1).make(session.model.device)
    try:
        executor = executor_for(session, options)
        Scheduler(executor, here, options, admit, observe).run(jobs)
    except ExecutorError as error:
        raise WorkerError(str(error)) from error
    except UnsendableError as error:
        raise cannot_be_sent(session, error) from error


def enhance_segmented(
    session: EnhanceSession,
    options: SegmentOptions,
    on_frame: Callable[[int, int | None], None],
    observe: Observer,
) -> EnhanceReport:
    """Enhances the video of ``session`` in segments, keeping those finished if interrupted.

    Args:
        session: the enhancement, which has been admitted.
        options: how it is cut, by whom it is enhanced, and whether to go on.
        on_frame: called with the number of frames that are enhanced, and that of all.
        observe: told what happens, but for an end that is raised.

    Raises:
        VideoError: source, target or options do not allow it, or have changed since an earlier run.
    """
    reports: list[EnhanceReport] = []
    seen = -1

    def take(event: RunEvent) -> None:
        nonlocal seen
        if isinstance(event, FileSkipped):
            raise HeldError(event.why)
        if isinstance(event, FileRefused | FileFailed):
            raise event.error
        if isinstance(event, Advanced) and event.done != seen:
            seen = event.done
            on_frame(event.done, event.frames)
        elif isinstance(event, FileDone):
            reports.append(event.report)
        observe(event)

    source = session.source if options.cluster is None else absolute(session.source)
    enhance_all(session, options, [Job(source, session.target)], lambda _: None, take)
    return reports[0]
