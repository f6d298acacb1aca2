"""``enhance_videos``: many files in one run, whose segments share all workers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from vqe_fast.storage.location import Locatable, absolute, location
from vqe_fast.video.events import Observer
from vqe_fast.video.options import parse_options, with_options
from vqe_fast.video.segments.admission import admit, skip_done
from vqe_fast.video.segments.enhance_segmented import enhance_all
from vqe_fast.video.segments.worker_setup import Job
from vqe_fast.video.session import EnhanceSession


@with_options
def enhance_videos(
    files: Iterable[tuple[Locatable, Locatable]],
    model: str | nn.Module | None = None,
    *,
    overwrite: bool = False,
    observe: Observer = lambda event: None,
    **options: Any,
) -> None:
    """Enhances many files in segments, which are in one queue for all workers, large files first.

    A file that cannot be enhanced does not keep others from it. What becomes of each is told as an
    event of :mod:`vqe_fast.video.events`: the last one of a file is ``FileDone``, ``FileSkipped``,
    ``FileRefused`` or ``FileFailed``. With ``resume`` a target that is there is skipped,
    unless its tag says that it was made of another source or with other options.

    Args:
        files: sources and targets; see :func:`vqe_fast.video.enhance_video`.
        overwrite: replace targets that exist.
        observe: called in the calling thread with each event.
        {options}

    Raises:
        VideoError: the options do not allow it.
        WorkerError: there are no workers, or not any more.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    chosen, encode, segments = parse_options({"model": model, **options})
    session = EnhanceSession(Path(), Path(), chosen, encode)

    def admitted(job: Job) -> None:
        if segments.resume and not overwrite:
            skip_done(session.adjusted(source=job.source, target=job.target), by_name=True)
        admit(job, overwrite=overwrite, resume=segments.resume)

    jobs = [Job(location(source), location(target)) for source, target in files]
    if segments.cluster is not None:
        jobs = [Job(absolute(job.source), absolute(job.target)) for job in jobs]
    enhance_all(session, segments, jobs, admitted, observe)
