"""Command-line parameters made from the options of an enhancement."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import typer

from vqe_fast.video.errors import VideoError
from vqe_fast.video.options import EncodeOptions, ModelOptions, SegmentOptions, all_options

Command = TypeVar("Command", bound=Callable[..., None])

_PANELS = {ModelOptions: "Model", EncodeOptions: "Encoder", SegmentOptions: "Segments"}


def with_command_line_options(command: Command) -> Command:
    """Puts the options of :mod:`vqe_fast.video.options` in the place of ``**options``."""
    return _with(command, _parameters(_PANELS))


def with_options_of_a_pass(command: Command) -> Command:
    """Puts those in the place of ``**options`` that hold for one pass into a file without a name.

    Segments are for long runs, and nobody asks for the container of such a file.
    """
    parameters = _parameters([ModelOptions, EncodeOptions])
    return _with(command, (each for each in parameters if each.name != "container"))


def _with(command: Command, options: Iterable[inspect.Parameter]) -> Command:
    signature = inspect.signature(command, eval_str=True)
    kept = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    parameters = [*kept, *options]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def values_by_name(texts: Sequence[str] | None) -> dict[str, Any] | None:
    """Options of a model from ``NAME=VALUE``, whose values are JSON or else strings.

    Raises:
        VideoError: one is not of that form, or a name comes twice.
    """
    if not texts:
        return None
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not name or not equals:
            raise VideoError(f"an option of the model looks like width=32, got {text!r}")
        if name in values:
            raise VideoError(f"the option {name} of the model is given twice")
        try:
            values[name] = json.loads(value)
        except json.JSONDecodeError:
            values[name] = value
    return values


def _parameters(groups: Collection[type]) -> Iterator[inspect.Parameter]:
    for group, each, about in all_options():
        if group not in groups:
            continue
        name = f"--{about.cli_name or each.name.replace('_', '-')}"
        told = typer.Option(
            f"{name}/--no-{name.removeprefix('--')}" if each.default is True else name,
            help=about.help,
            min=about.least,
            max=about.most,
            show_default=about.shown_default or True,
            rich_help_panel=_PANELS[group],
        )
        kind, default = about.cli_type or each.type, each.default
        yield inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if about.cli_type is not None else default,
            annotation=Annotated[kind, told],
        )
