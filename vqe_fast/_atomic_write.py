"""Atomic writes, locks and marks of presence, for files that several processes share."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

NAME_BYTES = 255
"""Bytes that file systems take for a name at most."""


@contextmanager
def atomic_write(path: Path, suffix: str | None = None) -> Iterator[Path]:
    """Yields the path to write in the place of ``path``, which it replaces if all is well.

    A device or a pipe is itself what to write.

    Args:
        path: the file.
        suffix: of its name meanwhile, for a file whose readers take all of one suffix; None for
            its own.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        yield path
        return
    path = path.resolve()
    draft = path.with_name(draft_name(path if suffix is None else path.with_suffix(suffix)))
    try:
        yield draft
        os.replace(draft, path)
    finally:
        if os.path.lexists(draft):  # a disk that cannot be written refuses even in vain
            draft.unlink()


def delete_drafts(path: Path) -> None:
    """Deletes what killed processes left of :func:`atomic_write`, and what others write just now.

    Args:
        path: the file that it was to be; its name may be a pattern such as ``*.mkv``.
    """
    for draft in path.parent.glob(_draft_name(path, "?" * 8)):
        draft.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits until no other thread or process is in here with the same path.

    Args:
        path: of an empty file, which is made and stays.
    """
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Presence:
    """Mark that a process is at work somewhere, until it leaves or ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Waits while another is :meth:`alone` there.

        Args:
            path: of an empty file that stands for the place; it is made and stays.
        """
        self._file = path.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Yields whether no other is present; if so, whoever comes has to wait meanwhile."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        try:
            yield alone
        finally:
            fcntl.flock(self._file, fcntl.LOCK_SH)


def draft_name(path: Path) -> str:
    """A name for what is to become ``path``: hidden, new, with its suffix, and not too long."""
    return _draft_name(path, secrets.token_hex(4))


def shortened(name: str, most: int) -> str:
    """The beginning of a file name that takes at most so many bytes, in whole characters."""
    while len(os.fsencode(name)) > most:
        name = name[:-1]
    return name


def _draft_name(path: Path, token: str) -> str:
    return f".{shortened(path.stem, 40)}.{token}.part{shortened(path.suffix, 160)}"
