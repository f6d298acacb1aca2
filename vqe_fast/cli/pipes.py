"""Standard input and output as temporary files: containers are not read and written in order."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from vqe_fast.storage.location import Location
from vqe_fast.video import SourceError, VideoError
from vqe_fast.video.media.containers import FORMATS

PIPE = Path("-")
"""What stands for standard input or output on the command line."""


@contextmanager
def readable(source: Location) -> Iterator[Location]:
    """Yields ``source``, or for ``-`` a temporary file with all of standard input.

    Raises:
        VideoError: standard input is closed, or there is no room for it.
    """
    if source != PIPE:
        yield source
        return
    if sys.stdin is None:
        raise SourceError(
            "standard input is closed; give the name of a file, or send a video to it"
        )
    with _stand_in("standard input") as path:
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        except OSError as error:
            raise VideoError(
                f"standard input cannot be kept in {path.parent} ({error.strerror}); "
                "set TMPDIR to a directory with more room"
            ) from error
        yield path


@contextmanager
def writable(target: Location, container: str | None) -> Iterator[Location]:
    """Yields ``target``, or for ``-`` a temporary file that goes to standard output if all is well.

    Args:
        target: the file to write, or ``-``.
        container: the suffix of the container for ``-``, without its dot; None for a file, whose
            name says it.

    Raises:
        VideoError: the container is missing, unknown or superfluous, or standard output is a
            terminal or closed.
    """
    if target != PIPE:
        if container is not None:
            raise VideoError(
                f"a format is for standard output (-); the name of {target} says its container"
            )
        yield target
        return
    suffix = f".{container}"
    if suffix not in FORMATS:
        names = ", ".join(each[1:] for each in FORMATS)
        raise VideoError(f"standard output has no suffix: give the --format, one of {names}")
    if sys.stdout is None:
        raise VideoError("standard output is closed; send it to a file or to a program")
    if sys.stdout.isatty():
        raise VideoError("standard output is a terminal; send it to a file or to a program")
    with _stand_in("standard output", suffix) as path:
        yield path
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise VideoError("the program that was to take standard output is gone") from error
        except OSError as error:
            raise VideoError(f"standard output cannot be written: {error.strerror}") from error


def refuse_segments(source: Location, target: Location) -> None:
    """Refuses standard input and output for an enhancement in segments.

    Raises:
        VideoError: one of them is a pipe.
    """
    if PIPE in (source, target):
        raise VideoError(
            "standard input and output cannot be worked on in segments; give files, or leave out "
            "segments, workers and resume"
        )


@contextmanager
def _stand_in(name: str, suffix: str = "") -> Iterator[Path]:
    """A temporary file, which messages call ``name``."""
    with TemporaryDirectory(prefix="vqe-fast-") as folder:
        path = Path(folder) / f"video{suffix}"
        try:
            yield path
        except VideoError as error:
            raise type(error)(str(error).replace(str(path), name)) from error
