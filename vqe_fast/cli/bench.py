"""``vqe-fast bench``: an operator against plain PyTorch, or models, on sizes of one's own."""

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
    op: Annotated[str | None, typer.Option(help=f"One of {', '.join(_DEFAULT_SHAPES)}.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Instead of it a model; several are timed side by side."),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Of the first input, B,C,H,W; else a usual one.")
    ] = None,
    size: Annotated[str, typer.Option(help="Of the frames for models, WIDTHxHEIGHT.")] = "1280x720",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="An option of the models, such as width=32."),
    ] = None,
    dtype: Annotated[DType, typer.Option(help="Of the inputs, or of a model's weights.")] = "fp32",
    direction: Annotated[Directions, typer.Option(help="Forward, or forward and backward.")] = (
        "forward"
    ),
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    seconds: Annotated[float, typer.Option(help="To spend on timing, roughly.", min=0.0)] = 5.0,
) -> None:
    """Times an operator against plain PyTorch and torch.compile, each checked first, or models.

    Inputs are random; calls take turns, on more inputs than the cache holds. Attention takes the
    shape of the query; the value has twice as many channels. Of block_match it is the warping.
    Models have random weights and run as in enhance, without decoder and encoder.

    Exit codes: 0 done, 1 the operator's result was wrong, 2 refused options, 130 interrupted.
    """
    with refusal(ValueError):
        if (op is None) == (not model):
            raise ValueError("give --op for an operator, or --model for models")
        if model:
            _bench_models(model, size, option, dtype, device, seconds)
            return
        assert op is not None
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
    from vqe_fast.bench.operators import BUILDERS
    from vqe_fast.models.inference import DTYPES

    if op not in BUILDERS:
        raise ValueError(
            f"there is no operator {op!r}; {did_you_mean(op, BUILDERS)}"
            f"choose one of {', '.join(BUILDERS)}"
        )
    found = _found(device)
    sizes = _DEFAULT_SHAPES[op] if shape is None else _parsed(shape)
    build = BUILDERS[op]
    _refuse_shape(build(sizes, DTYPES[dtype], "meta", direction), found)
    return build(sizes, DTYPES[dtype], found, direction)


def _bench_models(
    names: list[str],
    size: str,
    option: list[str] | None,
    dtype: DType,
    device: str,
    seconds: float,
) -> None:
    """Prints the speed of models.

    Raises:
        ValueError: there is no model of a name, or it cannot be measured so.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from vqe_fast import create_model
    from vqe_fast._machine import machine_name
    from vqe_fast.bench.format import ratio_in_words
    from vqe_fast.bench.model_speed import model_speeds
    from vqe_fast.cli.option_parameters import values_by_name

    width, height = _size(size)
    place = _found(device)
    options = values_by_name(option) or {}
    try:
        models = {name: create_model(name, **options) for name in names}
    except TypeError as error:  # an option that a model does not have
        raise ValueError(str(error)) from error
    speeds = model_speeds(models, (height, width), device=place, precision=dtype, budget=seconds)
    table = Table("model", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("frames a second", "20 to 80 % of calls", f"times {names[0]}"):
        table.add_column(column, justify="right")
    for speed in speeds:
        table.add_row(
            speed.name,
            f"{speed.fps:.3g}",
            f"{speed.slow:.3g} to {speed.fast:.3g}",
            ratio_in_words(speed.fps / speeds[0].fps),
        )
    console = Console(highlight=False)
    console.print(f"{width}x{height}, {dtype}; {machine_name(place)}", soft_wrap=True)
    console.print(table)


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not cross or not all(part.isdecimal() and int(part) for part in (width, height)):
        raise ValueError(f"a size is WIDTHxHEIGHT, such as 1280x720; got {text!r}")
    return int(width), int(height)


def _found(device: str) -> str:
    """The device, cpu or cuda.

    Raises:
        ValueError: it is none, or is not there.
    """
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"the device must be auto, cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no GPU that PyTorch can use; choose --device cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


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
