"""``vqe-fast bench``: an operator on shapes of one's own, against plain PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vqe_fast._suggest import did_you_mean
from vqe_fast.cli.exit_codes import ExitCode, refusal

if TYPE_CHECKING:
    from vqe_fast.bench.functions import Function
    from vqe_fast.bench.record import Direction, Row

_DEFAULT_SHAPES = {
    "attention": (1, 128, 64, 96),
    "block_match": (1, 1, 1080, 1920),
    "charbonnier": (4, 3, 256, 256),
    "fusion": (1, 3, 1080, 1920),
    "modulation": (1, 64, 540, 960),
    "ssim": (4, 3, 256, 256),
}

DType = Literal["fp32", "bf16", "fp16"]
Directions = Literal["forward", "both"]


def bench(
    op: Annotated[str, typer.Option(help=f"One of {', '.join(_DEFAULT_SHAPES)}.")],
    shape: Annotated[
        str | None, typer.Option(help="Of the first input, B,C,H,W; else a usual one.")
    ] = None,
    dtype: Annotated[DType, typer.Option(help="Of the inputs.")] = "fp32",
    direction: Annotated[Directions, typer.Option(help="Forward, or forward and backward.")] = (
        "forward"
    ),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seconds: Annotated[float, typer.Option(help="To spend on timing, roughly.", min=0.0)] = 5.0,
) -> None:
    """Times an operator against plain PyTorch and torch.compile, each checked first.

    Inputs are random; calls take turns, on more inputs than the cache holds. Attention takes the
    shape of the query; the value has twice as many channels. Of block_match it is the warping.

    Exit codes: 0 done, 1 the operator's result was wrong, 2 refused options, 130 interrupted.
    """
    with refusal(ValueError):
        function = _function(op, shape, dtype, direction, device)
    from vqe_fast.bench.measure import measure

    rows = [each.row for each in measure(function.work(function.usual()), seconds)]
    _print(function, rows)
    if any(row.is_red for row in rows):
        raise typer.Exit(ExitCode.INCOMPLETE)


def _function(
    op: str, shape: str | None, dtype: DType, direction: Direction, device: str
) -> Function:
    """What to measure.

    Raises:
        ValueError: it cannot be measured here.
    """
    import torch

    from vqe_fast.bench.operators import BUILDERS
    from vqe_fast.models.inference import DTYPES

    if op not in BUILDERS:
        raise ValueError(
            f"there is no operator {op!r}; {did_you_mean(op, BUILDERS)}"
            f"choose one of {', '.join(BUILDERS)}"
        )
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"the device must be auto, cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no GPU that PyTorch can use; choose --device cpu")
    found = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    sizes = _DEFAULT_SHAPES[op] if shape is None else _parsed(shape)
    build = BUILDERS[op]
    _refuse_shape(build(sizes, DTYPES[dtype], "meta", direction), found)
    return build(sizes, DTYPES[dtype], found, direction)


def _parsed(shape: str) -> tuple[int, ...]:
    parts = shape.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() and int(part) for part in parts):
        raise ValueError(f"a shape is four positive numbers, such as 1,128,270,480; got {shape!r}")
    return tuple(map(int, parts))


def _refuse_shape(function: Function, device: str) -> None:
    """Asks the operator itself, on tensors without memory.

    Raises:
        ValueError: it does not take this shape, or its inputs do not fit into memory.
    """
    import torch

    from vqe_fast._memory import available_memory, in_words
    from vqe_fast.bench.rotation import bytes_in

    sample = function.sample(0)
    result = function.ours(*sample.arguments)
    needed, free = bytes_in((sample, result)), available_memory(torch.device(device))
    if needed > free:
        raise ValueError(
            f"inputs and result need {in_words(needed)} at this shape, {in_words(free)} are free; "
            "choose a smaller one"
        )


def _print(function: Function, rows: list[Row]) -> None:
    from rich.console import Console

    from vqe_fast._machine import machine_name
    from vqe_fast.bench.table import LEGEND, headline, reasons, table

    console = Console(highlight=False)
    console.print(headline(rows[0], machine_name(function.device)), markup=False, soft_wrap=True)
    console.print(table(rows))
    for line in reasons(rows):
        console.print(line, markup=False, soft_wrap=True)
    console.print(LEGEND, style="dim")
