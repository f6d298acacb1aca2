"""Exit codes, and messages of commands that cannot do what was asked."""

from __future__ import annotations

import os
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
def interruption(text: str | Callable[[], str]) -> Iterator[None]:
    """Ends the command when Ctrl-C, SIGTERM or SIGHUP interrupts what is inside.

    Args:
        text: what to say then, or what finds that out.
    """
    try:
        with interruptible():
            yield
    except KeyboardInterrupt as error:
        say_error(text if isinstance(text, str) else text())
        raise typer.Exit(ExitCode.INTERRUPTED) from error


def sentence_of(error: Exception) -> str:
    """The sentence of an error; of one of the operating system the file and what it says."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{os.fsdecode(error.filename)} cannot be read or written: {error.strerror}"
    return str(error)


def code_of(error: Exception) -> ExitCode:
    """The exit code of a command that ends with this error."""
    if isinstance(error, SourceError):
        return ExitCode.REFUSED_INPUT
    if isinstance(error, WorkerError):
        return ExitCode.WORKERS_FAILED
    return ExitCode.REFUSED_OPTIONS


@contextmanager
def refusal(*errors: type[Exception]) -> Iterator[None]:
    """Ends the command with the sentence of any of these errors."""
    try:
        yield
    except errors as error:
        say_error(sentence_of(error))
        if isinstance(error, WorkerError) and error.trace is not None:
            typer.echo(error.trace, err=True)
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
