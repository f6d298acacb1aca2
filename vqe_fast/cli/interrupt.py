"""Ctrl-C, SIGTERM, and the SIGHUP of a terminal that is closed, for commands that take long."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code of an interrupted command."""


def quit_when_interrupted() -> None:
    """Lets Ctrl-C, SIGTERM and SIGHUP end the program at once, while there is nothing to tidy up.

    That is while it imports: an exception in the midst of torch ends in another one.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        try:
            os.write(2, b"vqe-fast: interrupted\n")
        finally:  # also where the terminal is gone
            os._exit(INTERRUPTED)

    for each in _heeded():
        signal.signal(each, leave)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turns Ctrl-C, SIGTERM, SIGHUP into one KeyboardInterrupt; while that is handled, no second.

    A signal that the caller had ignored, as shells do for background jobs and ``nohup`` does, stays
    ignored.
    """
    signals = _heeded()

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _heeded() -> list[signal.Signals]:
    """The signals that the caller has not ignored."""
    return [
        each
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(each) is not signal.SIG_IGN
    ]
