"""FFmpeg's log captured: some facts about a stream are told nowhere else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import av

_LOCK = threading.Lock()
_SETTLING = 1e-4  # seconds


@contextmanager
def captured_log() -> Iterator[list[tuple[int, str, str]]]:
    """Captures FFmpeg's log of this thread, as level, name and message.

    Afterwards PyAV's log is as it was before. Any number of threads may do so.
    """
    with _LOCK:
        level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        # Where nobody listens, nobody shall hear what other threads log meanwhile either.
        others = av.logging.Capture(local=level is not None)
        with others, av.logging.Capture() as lines:
            try:
                av.logging.set_skip_repeated(False)
                av.logging.set_level(max(level or 0, av.logging.INFO))
                yield lines
            finally:
                _set_level(level)
                av.logging.set_skip_repeated(skips)


def _set_level(level: int | None) -> None:
    """PyAV compares what a thread is about to log with the level, and fails loudly at None."""
    if level is None:
        av.logging.set_level(av.logging.PANIC)
        time.sleep(_SETTLING)  # lets threads finish that have passed the check and wait for the GIL
    av.logging.set_level(level)
