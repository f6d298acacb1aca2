"""Standard error taken line by line, whoever writes to it: libraries and other processes, too."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

_STDERR = 2
_BLOCK = 65536


@contextmanager
def captured_stderr(take: Callable[[str], None]) -> Iterator[None]:
    """Gives each line that is written to standard error to ``take``, in another thread.

    Args:
        take: called with a line without its end.
    """
    reader, writer = os.pipe()
    ended, end = os.pipe()
    os.set_blocking(reader, False)
    thread = threading.Thread(
        target=_read, args=(reader, ended, take), name="vqe-fast stderr", daemon=True
    )
    put_back = _redirect(writer)
    thread.start()
    try:
        yield
    finally:
        put_back()
        os.write(end, b".")  # its own end may be open in other processes that live on
        thread.join()
        for descriptor in (reader, ended, end):
            os.close(descriptor)


def outlet() -> IO[str]:
    """A stream to where standard error goes now, and goes on to go while that is captured."""
    stream = sys.stderr
    if stream is None:
        return open(os.devnull, "w")
    if _is_descriptor(stream):
        return os.fdopen(os.dup(_STDERR), "w", encoding="utf-8")
    return stream


def _redirect(writer: int) -> Callable[[], None]:
    """Sends standard error to a pipe; what is returned puts it back, and closes the pipe's end."""
    before = sys.stderr
    if before is None or _is_descriptor(before):
        kept = os.dup(_STDERR)
        os.dup2(writer, _STDERR)
        os.close(writer)

        def put_back() -> None:
            if before is not None:
                before.flush()
            os.dup2(kept, _STDERR)
            os.close(kept)

        return put_back
    stand_in = os.fdopen(writer, "w", buffering=1, encoding="utf-8", errors="surrogateescape")
    sys.stderr = stand_in

    def close() -> None:
        sys.stderr = before
        stand_in.close()

    return close


def _is_descriptor(stream: IO[str]) -> bool:
    try:
        return stream.fileno() == _STDERR
    except io.UnsupportedOperation:
        return False


def _read(reader: int, ended: int, take: Callable[[str], None]) -> None:
    rest = b""
    while True:
        at_end = ended in select.select([reader, ended], [], [])[0]
        while (block := _block(reader)) is not None:
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                take(os.fsdecode(line))
        if at_end:
            break
    if rest:
        take(os.fsdecode(rest))


def _block(reader: int) -> bytes | None:
    """What there is to read; None if there is nothing."""
    try:
        return os.read(reader, _BLOCK) or None
    except BlockingIOError:
        return None
