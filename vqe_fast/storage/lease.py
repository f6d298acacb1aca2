"""Lease: a lock on a folder of a storage system, which ends when nobody renews it."""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from vqe_fast.storage.errors import NotThere, StorageError
from vqe_fast.storage.location import RemotePath

LOCK = "lock"
"""Name of the object that is the lock."""

SECONDS = 180.0
"""How long a lease lasts that is not renewed; clocks of machines must agree far better."""

_RENEWALS = 6  # in that time


@dataclass(frozen=True)
class Holder:
    """Who has a lease.

    Attributes:
        host: name of the machine.
        process: its number there.
        processes: the namespace in which that number is one.
        token: of this lease alone.
        renewed: when it was last renewed, in seconds since 1970.
        seconds: how long it lasts from then on.
    """

    host: str
    process: int
    processes: str
    token: str
    renewed: float
    seconds: float

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"

    @property
    def is_gone(self) -> bool:
        """Whether it has not renewed the lease in time, or is known to have ended."""
        if time.time() - self.renewed > self.seconds:
            return True
        if (self.host, self.processes) != (platform.node(), _processes()):
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it is another user's
            return False
        return False


class LeaseHeld(StorageError):
    """Somebody else has the lease.

    Attributes:
        holder: who.
    """

    def __init__(self, sentence: str, holder: Holder | None = None) -> None:
        super().__init__(sentence)
        self.holder = holder


class Lease:
    """A lease that this process has.

    Attributes:
        holder: this process, as others see it.
    """

    def __init__(self, file: RemotePath, holder: Holder) -> None:
        self.holder = holder
        self._file = file
        self._over = threading.Event()
        self._lost: StorageError | None = None
        self._thread = threading.Thread(target=self._renew, name="vqe-fast lease", daemon=True)

    def check(self) -> None:
        """Makes sure that the lease is still this process's.

        Raises:
            StorageError: it could not be renewed in time, or another has taken it.
        """
        if self._lost is not None:
            raise self._lost

    def start(self) -> None:
        """Begins to renew it."""
        self._thread.start()

    def release(self) -> None:
        """Ends it, for others to have it."""
        self._over.set()
        self._thread.join()
        with suppress(StorageError):  # without it, the lease ends by itself
            if self._lost is None and _read(self._file) == self.holder:
                self._file.unlink(missing_ok=True)

    def _renew(self) -> None:
        seconds = self.holder.seconds
        while not self._over.wait(seconds / _RENEWALS):
            try:
                there = _read(self._file)
                if there is None or there.token != self.holder.token:
                    self._lost = _taken(self._file, there)
                    return
                renewed = Holder(**{**asdict(self.holder), "renewed": time.time()})
                _write(self._file, renewed)
                self.holder = renewed
            except StorageError as error:
                if time.time() - self.holder.renewed > seconds:
                    self._lost = error
                    return


@contextmanager
def lease(folder: RemotePath, seconds: float = SECONDS) -> Iterator[Lease]:
    """Holds the lock of a folder, renewing it in a thread, until the ``with`` block is left.

    One that was not renewed for ``seconds``, or whose process on this machine has ended, is taken
    over. Waits for nobody.

    Args:
        folder: the folder; it is created if need be.
        seconds: how long the lease lasts without being renewed.

    Raises:
        LeaseHeld: another process has it.
        StorageError: the storage system cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK
    token = secrets.token_hex(8)
    mine = Holder(platform.node(), os.getpid(), _processes(), token, time.time(), seconds)
    if not file.create(_json(mine)):
        _take_over(file, mine)
    held = Lease(file, mine)
    held.start()
    try:
        yield held
    finally:
        held.release()


def _take_over(file: RemotePath, mine: Holder) -> None:
    """Replaces a lease whose holder is gone.

    Of several that see the same old lease, the one does who creates the claim named after it.

    Raises:
        LeaseHeld: its holder is not gone, or another does the same.
    """
    there = _read(file)
    if there is None:  # given back just now
        if file.create(_json(mine)):
            return
        there = _read(file)
    if there is None or not there.is_gone:
        raise _held(file, there)
    claim = file.with_name(f"{file.name}.{there.token}")
    if not claim.create(_json(mine)):
        claimer = _read(claim)
        if claimer is not None and claimer.is_gone:  # it has died over it; the next try succeeds
            claim.unlink(missing_ok=True)
        raise _held(file, claimer)
    try:
        now = _read(file)
        if now is not None and now.token != there.token:
            raise _held(file, now)
        _write(file, mine)
    finally:
        with suppress(StorageError):  # it is named after a lease that is no more
            claim.unlink(missing_ok=True)


def _held(file: RemotePath, holder: Holder | None) -> LeaseHeld:
    who = "another process" if holder is None else str(holder)
    return LeaseHeld(f"{who} is working in {file.parent}; wait for its end", holder)


def _taken(file: RemotePath, holder: Holder | None) -> StorageError:
    who = "another process" if holder is None else str(holder)
    return StorageError(
        f"{who} has taken over {file.parent}, as this process could not renew its lease in time; "
        "start it again"
    )


def _read(file: RemotePath) -> Holder | None:
    try:
        return Holder(**json.loads(file.read_text()))
    except NotThere:
        return None
    except (ValueError, TypeError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{file} is not readable; delete it") from error


def _write(file: RemotePath, holder: Holder) -> None:
    file.write_bytes(_json(holder))


def _json(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


def _processes() -> str:
    """The namespace of process numbers: containers on a machine have one each."""
    return os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
