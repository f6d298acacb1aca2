"""Ctrl-C and SIGTERM, for commands that take long."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code of an interrupted command."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Turns Ctrl-C and SIGTERM into one KeyboardInterrupt; while that is handled, no second.

    A signal that the caller had ignored, as shells do for background jobs, stays ignored.
    """
    signals = [
        each
        for each in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(each) is not signal.SIG_IGN
    ]

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
