"""The JSON report that ``--report`` asks for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryFile

from vqe_fast._atomic_write import atomic_write
from vqe_fast.cli.pipes import PIPE
from vqe_fast.storage.location import Location
from vqe_fast.video import VideoError


def refuse_report(path: Path, target: Location) -> None:
    """Checks, before any work, that a report can be written.

    Raises:
        VideoError: it cannot.
    """
    if path == PIPE:
        if target == PIPE:
            raise VideoError("standard output can take the video or the report, not both")
        if sys.stdout is None:
            raise VideoError("standard output is closed; give the report the name of a file")
        return
    refuse_unwritable(path, "report")


def refuse_unwritable(path: Path, what: str) -> None:
    """Checks, before any work, that a file can be written.

    Args:
        path: the file.
        what: it is to hold, in a word.

    Raises:
        VideoError: it cannot.
    """
    if os.path.isdir(path):
        raise VideoError(f"the {what} {path} is a directory; give the name of a file")
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe, written as it is
        return
    try:
        with TemporaryFile(dir=path.resolve().parent):
            pass
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoError(
            f"there is no directory {path.parent} for the {what}; create it first"
        ) from error
    except OSError as error:
        raise VideoError(f"the {what} {path} cannot be written: {error.strerror}") from error


def write_report(path: Path, content: object) -> None:
    """Writes ``content`` as JSON atomically; to standard output for ``-``.

    Raises:
        VideoError: the file cannot be written.
    """
    text = json.dumps(content, indent=2) + "\n"
    if path == PIPE:
        sys.stdout.write(text)
        return
    try:
        with atomic_write(path) as draft:
            draft.write_text(text, "utf-8")
    except OSError as error:
        raise VideoError(f"the report {path} cannot be written: {error.strerror}") from error
