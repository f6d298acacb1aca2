"""Exit codes, and messages of commands that cannot do what was asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

import typer

from vqe_fast.cli.interrupt import INTERRUPTED as _INTERRUPTED
from vqe_fast.cli.interrupt import interruptible
from vqe_fast.video.errors import SourceError, WorkerError


class ExitCode(IntEnum):
    """How a command ended; of several files the largest tells. ``docs/exit-codes.md`` has more."""

    DONE = 0
    INCOMPLETE = 1
    REFUSED_OPTIONS = 2
    REFUSED_INPUT = 3
    WORKERS_FAILED = 4
    INTERRUPTED = _INTERRUPTED


GOES_ON = "interrupted; run it again and it goes on"


def say_error(text: str) -> None:
    """Prints a sentence on standard error, with the program's name before it."""
    with suppress(OSError):  # the terminal is gone: there is nobody to tell, but the exit code
        typer.echo(f"vqe-fast: {text}", err=True)


@contextmanager
def interruption(
    text: str | Callable[[], str], say: Callable[[str], None] = say_error
) -> Iterator[None]:
    """Ends the command when Ctrl-C, SIGTERM or SIGHUP interrupts what is inside.

    Args:
        text: what to say then, or what finds that out.
        say: says it.
    """
    try:
        with interruptible():
            yield
    except KeyboardInterrupt as error:
        say(text if isinstance(text, str) else text())
        raise typer.Exit(ExitCode.INTERRUPTED) from error


def sentence_of(error: Exception) -> str:
    """The sentence of an error; of one of the operating system the file and what it says."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{os.fsdecode(error.filename)} cannot be read or written: {error.strerror}"
    return str(error)


def sentence_of_system(error: OSError) -> str | None:
    """The sentence of an error of the operating system; None if nobody has put it into words."""
    if error.filename is not None:
        return sentence_of(error)
    if type(error).__module__ != "builtins" or sys.stdout is None:
        return None  # one of FFmpeg
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is left in it
    return f"standard output cannot be written: {error.strerror}"


def code_of(error: Exception) -> ExitCode:
    """The exit code of a command that ends with this error."""
    if isinstance(error, SourceError):
        return ExitCode.REFUSED_INPUT
    if isinstance(error, WorkerError):
        return ExitCode.WORKERS_FAILED
    return ExitCode.REFUSED_OPTIONS


def say_refusal(error: Exception) -> None:
    """Prints the sentence of an error, and below it the traceback of a worker, if it has one."""
    say_error(sentence_of(error))
    if isinstance(error, WorkerError) and error.trace is not None:
        typer.echo(error.trace, err=True)


@contextmanager
def refusal(
    *errors: type[Exception], say: Callable[[Exception], None] = say_refusal
) -> Iterator[None]:
    """Ends the command with the sentence of any of these errors, as ``say`` says it."""
    try:
        yield
    except errors as error:
        say(error)
        raise typer.Exit(code_of(error)) from error


_DISTRIBUTIONS = {"yaml": "pyyaml", "lightning_fabric": "lightning-fabric"}
"""What to install for a module of another name."""


@contextmanager
def needing_packages() -> Iterator[None]:
    """Ends the command when an optional package that it imports is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "a package").partition(".")[0]
        say_error(f"{package} is not installed: pip install {_DISTRIBUTIONS.get(package, package)}")
        raise typer.Exit(ExitCode.REFUSED_OPTIONS) from error
