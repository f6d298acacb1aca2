"""Lock of a folder of parts: who holds it is the only one that works on an output."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vqe_fast.executors.worker import worker_name
from vqe_fast.storage.lease import LOCK, LeaseHeld, lease
from vqe_fast.storage.location import Location, RemotePath
from vqe_fast.video.errors import HeldError, VideoError
from vqe_fast.video.segments.parts_folder import PartsFolder, parts_path

_NAME_OF_A_WORKER = 300  # bytes, more than it has


@dataclass(frozen=True)
class HeldFolder:
    """A folder that this process has locked.

    Attributes:
        folder: the folder.
        check: raises ``StorageError`` if the lock was lost meanwhile.
    """

    folder: PartsFolder
    check: Callable[[], None]


@contextmanager
def hold_parts(target: Location) -> Iterator[HeldFolder]:
    """Locks the folder of ``target``, which is made if need be.

    On this machine the lock is one of the operating system, which ends with the process that has
    it; in a storage system it is a lease.

    Raises:
        HeldError: another process is in it.
        VideoError: it cannot be made.
    """
    path = parts_path(target)
    if isinstance(path, RemotePath):
        try:
            with lease(path) as held:
                yield HeldFolder(PartsFolder(path), held.check)
        except LeaseHeld as error:
            raise HeldError(str(error)) from None
        return
    try:
        lock = _lock(path)
        while not _is_of(lock, path):  # whoever had it was done meanwhile, and deleted the folder
            os.close(lock)
            lock = _lock(path)
    except OSError as error:
        raise VideoError(f"{target} cannot be written: {error.strerror}") from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, worker_name().encode(), 0)
        yield HeldFolder(PartsFolder(path), lambda: None)
    finally:
        os.close(lock)


def _lock(path: Path) -> int:
    """The lock file of a folder, opened and locked; it may be one that was deleted meanwhile."""
    path.mkdir(exist_ok=True)
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        host, _, process = os.read(lock, _NAME_OF_A_WORKER).decode().rpartition(":")
        os.close(lock)
        holder = f"process {process} on {host}" if host else "another process"
        raise HeldError(f"{holder} is working in {path}; wait for its end") from error
    except OSError:
        os.close(lock)
        raise
    return lock


def _is_of(lock: int, path: Path) -> bool:
    """Whether a lock file is the one that the folder has."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path / LOCK))
    except FileNotFoundError:
        return False
