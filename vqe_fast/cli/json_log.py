"""``--log json``: a run told to machines, one JSON object a line on standard error."""

from __future__ import annotations

import json
import os
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import IO, Any

import typer
from typer.core import TyperCommand

from vqe_fast.cli.captured_stderr import captured_stderr, outlet
from vqe_fast.cli.exit_codes import ExitCode, sentence_of_system
from vqe_fast.cli.interrupt import INTERRUPTED, quitting_with
from vqe_fast.executors.worker import in_a_line

_OF_QUIET = frozenset(
    {
        "file_done",
        "file_failed",
        "file_refused",
        "file_skipped",
        "interrupted",
        "output",
        "run_done",
        "run_failed",
        "run_refused",
        "worker_lost",
    }
)
"""Events that ``--quiet`` leaves: ends and errors."""


class JsonLog:
    """Writer of events as lines.

    Args:
        stream: where they go.
        quiet: leave out what is neither an end nor an error.
    """

    def __init__(self, stream: IO[str], quiet: bool) -> None:
        self._stream, self._quiet = stream, quiet
        self._lock = threading.Lock()

    def write(self, event: str, **fields: Any) -> None:
        """Writes an event with its time; not one that ``quiet`` leaves out."""
        if self._quiet and event not in _OF_QUIET:
            return
        with self._lock, suppress(OSError):  # nobody reads it any more
            self._stream.write(json_line(event, **fields))
            self._stream.flush()


def json_line(event: str, **fields: Any) -> str:
    """The line of an event."""
    time = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "event": event} | fields) + "\n"


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the arguments of a command ask for JSON, before they are parsed."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return any(
        one == "--log=json" or (one, next_one) == ("--log", "json") for one, next_one in pairs
    )


@contextmanager
def json_log(quiet: bool) -> Iterator[JsonLog]:
    """The log of a command, which takes all that is written to standard error meanwhile.

    An exception that nobody expects is told, and ends the command.
    """
    stream = outlet()
    log = JsonLog(stream, quiet)

    with (
        quitting_with(lambda: tell_interrupted(stream.fileno())),
        captured_stderr(lambda text: log.write("output", text=text)),
    ):
        try:
            yield log
        except typer.Exit:
            raise
        except Exception as error:
            sentence = sentence_of_system(error) if isinstance(error, OSError) else None
            if sentence is not None:
                code = ExitCode.REFUSED_OPTIONS
                log.write("run_failed", error=sentence, exit_code=code)
            else:
                code = ExitCode.INCOMPLETE  # Python's own for an exception
                what, trace = in_a_line(error), traceback.format_exc()
                log.write("run_failed", error=what, trace=trace, exit_code=code)
            raise typer.Exit(code) from error


def tell_interrupted(descriptor: int = 2) -> None:
    """Tells, in a handler of signals, that a command is interrupted before it has begun."""
    os.write(descriptor, json_line("interrupted", exit_code=INTERRUPTED).encode())


_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""That of click, which Typer brings along or depends on, by its version."""


class CommandThatLogs(TyperCommand):
    """A command with ``--log``: wrong usage is told as JSON, too, if that is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            if not wants_json(given):
                raise
            code = ExitCode.REFUSED_OPTIONS
            sentence = error.format_message()  # type: ignore[attr-defined]
            JsonLog(outlet(), quiet=False).write("run_refused", error=sentence, exit_code=code)
            raise typer.Exit(code) from error
