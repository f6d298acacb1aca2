"""``vqe-fast join``: from generators trained one by one to the weights of a quality ensemble."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vqe_fast.cli.exit_codes import interruption, needing_packages, refusal
from vqe_fast.cli.in_words import size_in_words


def join(
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The file to write, .safetensors.")
    ],
    generators: Annotated[
        list[str],
        typer.Argument(
            metavar="QP=WEIGHTS",
            help="The QP that a generator was trained for, and its .safetensors file or the folder "
            "of its training, such as 37=runs/37; one for each quality.",
        ),
    ],
) -> None:
    """Joins generators that were trained one for each quality into weights of galteri_ensemble.

    vqe-fast enhance --weights OUTPUT then takes for each frame the generator of the nearest QP.

    Exit codes: 0 done, 2 refused options, 130 interrupted.
    """
    with interruption("interrupted, nothing was written"), needing_packages():
        from vqe_fast.training.joined_generators import join_generators

        with refusal(ValueError, OSError):
            if output.suffix != ".safetensors":
                raise ValueError(f"weights are a .safetensors file: {output} needs another name")
            if output.exists():
                raise ValueError(f"{output} is there already; delete it, or give another name")
            ensemble = join_generators(_by_qp(generators), output)
            size = size_in_words(output.stat().st_size)
    qps = ", ".join(f"{qp:g}" for qp in ensemble.qps)
    typer.echo(f"{output}: generators for QP {qps}, {size}")


def _by_qp(texts: list[str]) -> dict[float, Path]:
    """Files of weights by QP, from ``QP=WEIGHTS``; of the folder of a training that in it.

    Raises:
        ValueError: a text is of another form, or a QP comes twice.
    """
    from vqe_fast.training.checkpoint import WEIGHTS_NAME

    files: dict[float, Path] = {}
    for text in texts:
        number, equals, name = text.partition("=")
        try:
            qp = float(number)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ValueError(f"a generator looks like 37=runs/37, got {text!r}")
        if qp in files:
            raise ValueError(f"there are two generators for QP {number}: give one for each")
        path = Path(name)
        files[int(qp) if qp.is_integer() else qp] = path / WEIGHTS_NAME if path.is_dir() else path
    return files
