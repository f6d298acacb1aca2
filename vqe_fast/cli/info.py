"""``vqe-fast info``: what to paste into a bug report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tells versions, what was built, and what each operator runs on."""
    import vqe_fast

    facts = vqe_fast.info()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for line in _lines(facts, ""):
        typer.echo(line)


def _lines(facts: Mapping[str, object], indent: str) -> Iterator[str]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, list):
            yield f"{indent}{name}: {', '.join(map(str, value)) or 'none'}"
        else:
            yield f"{indent}{name}: {value}"
