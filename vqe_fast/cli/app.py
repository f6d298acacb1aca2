"""The program ``vqe-fast``: its commands, and the option ``--version``."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import Annotated

import typer

from vqe_fast._version import __version__
from vqe_fast.cli.ablate import ablate
from vqe_fast.cli.bench import bench
from vqe_fast.cli.compare import compare
from vqe_fast.cli.demo import demo
from vqe_fast.cli.enhance import enhance
from vqe_fast.cli.evaluate import evaluate
from vqe_fast.cli.exit_codes import ExitCode, say_error, sentence_of_system
from vqe_fast.cli.info import info
from vqe_fast.cli.inspect import inspect
from vqe_fast.cli.interrupt import quit_when_interrupted, quitting_with
from vqe_fast.cli.join import join
from vqe_fast.cli.json_log import CommandThatLogs, tell_interrupted, wants_json
from vqe_fast.cli.models import models
from vqe_fast.cli.pack import pack
from vqe_fast.cli.prepare import prepare
from vqe_fast.cli.preview import preview
from vqe_fast.cli.standard_streams import prepare_streams
from vqe_fast.cli.train import train

app = typer.Typer(
    name="vqe-fast",
    help="Makes compressed video better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # else lines of the docstrings are broken where they are here
)
app.command(cls=CommandThatLogs)(enhance)
app.command()(preview)
app.command()(compare)
app.command()(inspect)
app.command()(models)
app.command()(info)
app.command()(prepare)
app.command()(train)
app.command()(pack)
app.command()(join)
app.command()(ablate)
app.command()(evaluate)
app.command()(bench)
app.command(hidden=True)(demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vqe-fast {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Makes compressed video better."""


def main() -> None:
    """Entry point of the console script."""
    # OpenMP reads it when torch is imported: threads that spin while they wait for work take the
    # cores from the codecs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    prepare_streams()
    quit_when_interrupted()
    try:
        with quitting_with(tell_interrupted) if wants_json(sys.argv) else nullcontext():
            app()
    except OSError as error:
        sentence = sentence_of_system(error)
        if sentence is None:
            raise
        say_error(sentence)
        sys.exit(ExitCode.REFUSED_OPTIONS)
