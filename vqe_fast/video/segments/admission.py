"""Admission of a file to an enhancement: what is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

from vqe_fast.storage.errors import StorageError
from vqe_fast.storage.location import Location, RemotePath, exists, is_file
from vqe_fast.video.errors import SkippedError, VideoError, storage_refusals
from vqe_fast.video.segments.fingerprint import done_before, fingerprint_of
from vqe_fast.video.segments.parts_folder import is_complete, parts_path
from vqe_fast.video.segments.worker_setup import Job
from vqe_fast.video.session import EnhanceSession


@storage_refusals()
def admit(job: Job, *, overwrite: bool, resume: bool) -> None:
    """Checks the paths of a file, and that no interrupted run has left parts of its target.

    Args:
        job: the file.
        overwrite: whether a target that exists may be replaced.
        resume: whether to go on with parts; what has been joined from them may be there.

    Raises:
        VideoError: the target cannot be written, or is there; or there are parts.
    """
    is_there = resume and is_complete(job.target)
    _check_paths(job.source, job.target, overwrite=overwrite or is_there)
    path = parts_path(job.target)
    if exists(path) and not resume:
        raise VideoError(
            f"{path} holds what an interrupted run has finished; go on with --resume, or delete "
            "the folder to start anew"
        )


@storage_refusals()
def skip_done(session: EnhanceSession, *, by_name: bool) -> None:
    """Skips a file whose output is there, for a run that goes on with an earlier one.

    Args:
        session: of the file.
        by_name: whether an output that does not tell what it was made of is taken for that one.

    Raises:
        SkippedError: it is there.
        VideoError: it was made of something else, or with other options.
    """
    source, target = session.source, session.target
    if not is_file(target) or exists(parts_path(target)):
        return
    is_same = done_before(target, fingerprint_of(session))
    if is_same:
        raise SkippedError("done before")
    if is_same is None and by_name:
        raise SkippedError("was there")
    if is_same is False:
        raise VideoError(
            f"{target} is there and was not made of {source} as it is now, with these options and "
            "this version; to have it made anew delete it, or ask to overwrite it (--overwrite)"
        )


def refuse_part(*, is_all: bool) -> None:
    """Refuses segments for a part of a video.

    Raises:
        VideoError: it is not all of it.
    """
    if not is_all:
        raise VideoError(
            "a start or a number of frames is for one pass; leave out segments, workers, cluster "
            "and resume"
        )


def _check_paths(source: Location, target: Location, *, overwrite: bool) -> None:
    if isinstance(target, RemotePath):
        _check_remote(source, target, overwrite=overwrite)
        return
    if os.path.isdir(target):
        raise VideoError(f"{target} is a directory; give the name of the file to write")
    try:
        os.stat(os.path.dirname(os.path.realpath(target)))
        os.stat(target)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not os.path.isdir(os.path.dirname(os.path.realpath(target))):
            raise VideoError(f"there is no directory {target.parent}; create it first") from error
        return
    except OSError as error:
        raise VideoError(f"{target} cannot be written: {error.strerror}") from error
    if isinstance(source, Path) and os.path.exists(source) and os.path.samefile(source, target):
        raise _is_source(target)
    if not os.path.isfile(target):
        raise VideoError(f"{target} is not a file but a device or a pipe; give the name of a file")
    if not overwrite:
        raise _is_there(target)


def _check_remote(source: Location, target: RemotePath, *, overwrite: bool) -> None:
    if target == source:
        raise _is_source(target)
    try:
        target.refuse_unwritable()
        if target.is_dir():
            raise VideoError(f"{target} is a folder; give the name of the file to write")
        if not overwrite and target.exists():
            raise _is_there(target)
    except StorageError as error:
        raise VideoError(str(error)) from None


def _is_source(target: Location) -> VideoError:
    return VideoError(f"{target} is the source itself; give another name to write to")


def _is_there(target: Location) -> VideoError:
    return VideoError(f"{target} exists already; give another name, or ask to overwrite it")
