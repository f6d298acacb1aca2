"""Ctrl-C, SIGTERM, and the SIGHUP of a terminal that is closed, for commands that take long."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code of an interrupted command."""


def _tell_in_words() -> None:
    os.write(2, b"vqe-fast: interrupted\n")


_tell: Callable[[], None] = _tell_in_words
"""What tells that the program ends at once."""


@contextmanager
def quitting_with(tell: Callable[[], None]) -> Iterator[None]:
    """Has a program that is interrupted before it can tidy up tell so by ``tell``."""
    global _tell
    before, _tell = _tell, tell
    try:
        yield
    finally:
        _tell = before


def quit_when_interrupted() -> None:
    """Lets Ctrl-C, SIGTERM and SIGHUP end the program at once, while there is nothing to tidy up.

    That is while it imports: an exception in the midst of torch ends in another one.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        try:
            _tell()
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
