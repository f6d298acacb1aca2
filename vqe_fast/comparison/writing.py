"""Atomic writing of output files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vqe_fast._atomic_write import atomic_write
from vqe_fast.video.errors import VideoError


@contextmanager
def drafted(target: Path, sources: Iterable[Path]) -> Iterator[Path]:
    """Yields the name of a file beside ``target`` that takes its name if all goes well.

    Raises:
        VideoError: the file cannot be written, or is one of ``sources``.
    """
    if os.path.isdir(target):
        raise VideoError(f"{target} is a directory; give the name of a file")
    for source in sources:
        if os.path.exists(target) and os.path.exists(source) and target.samefile(source):
            raise VideoError(f"{target} is one of the videos; give another name to write to")
    try:
        with atomic_write(target) as draft:
            draft.touch()
            yield draft
    except OSError as error:
        raise VideoError(f"{target} cannot be written: {error.strerror}") from error
