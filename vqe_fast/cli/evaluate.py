"""``vqe-fast evaluate``: what models gain, in tables and curves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vqe_fast.cli.exit_codes import GOES_ON, ExitCode, interruption, needing_packages, refusal
from vqe_fast.cli.in_words import size_in_words
from vqe_fast.cli.option_parameters import values_by_name
from vqe_fast.cli.progress_bar import progress_bar

if TYPE_CHECKING:
    from vqe_fast.data.prepared import Plan
    from vqe_fast.evaluation import Evaluation

_BOLD = re.compile(r"\*\*(.+?)\*\*")  # as Markdown has it


def evaluate(
    clips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLIPS",
            help="Pristine video and photographs, files or folders; with --pairs what they are in.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for tables, plots and what is measured.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A model's name; NAME:sharp or NAME:sharp:0.5 for a look; NAME:FILE with weights; "
            "a .safetensors file or the folder of a training; spp; or "
            "'cmd:PROGRAM {input} {output}'. May be given several times.",
            show_default="that of enhance; with --pairs none",
        ),
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="LAYOUT",
            help="Take clips that are compressed already: mfqe, ldv or gopro for the folder of "
            "such a data set; files for ORIGINAL COMPRESSED, files or folders.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="codecs, carcnn, carcnn-240p, pequenet, pequenet-release, or a .yaml file; with "
            "--pairs multiscale, or one without degradations.",
        ),
    ] = None,
    codec: Annotated[
        str, typer.Option(help="libx264, libx265, libvpx-vp9 or libsvtav1.")
    ] = "libx264",
    qp: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Constant QPs, such as 22,27,32,37; with --pairs that of frames without one.",
        ),
    ] = None,
    crf: Annotated[
        str | None, typer.Option(metavar="LIST", help="Constant rate factors, such as 29,35.")
    ] = None,
    max_bitrate: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="With --crf: each of them under each of these kbit/s."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a clip at most.", show_default="all")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="More measures: vmaf, vmaf_neg, xpsnr, lpips, lpips_vgg, efficientnet_distance, "
            "niqe, brisque, dists, fid; docs/evaluation.md says what each needs.",
        ),
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(metavar="FILE.onnx", help="Detector of objects: adds mAP@0.5."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for the compressed clips.", show_default="OUTPUT/encodes"),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="An option of the models. May be given several times."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that restore and measure at once, each with a GPU, or on a CPU; speeds "
            "then compare with no others.",
            show_default="1; with --cluster as many as fit",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Restore and measure on a Ray cluster: auto, local, ray://HOST:10001 or "
            "HOST:PORT; all nodes have to see the compressed clips.",
            show_default="none",
        ),
    ] = None,
    worker_cpus: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cores of each worker on a cluster.",
            show_default="what suits the nodes",
        ),
    ] = None,
    worker_gpus: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="GPUs of each worker on a cluster, such as 0.5.",
            show_default="1 where there are any",
        ),
    ] = None,
) -> None:
    """Compresses CLIPS, or takes --pairs, restores them, and measures what was gained.

    Settings are a protocol, or --codec with --qp or --crf. Run it again after an interruption and
    it goes on. Clips are encoded here, in threads, whoever measures.

    Exit codes: 0 done, 1 done but some rows failed, 2 refused options or clips, 4 no workers, 130
    interrupted.
    """
    with interruption(GOES_ON), needing_packages(), refusal(ValueError, OSError):
        import scipy.interpolate  # noqa: F401  # needed at the end, missed at once

        import vqe_fast.evaluation.plots  # noqa: F401
        from vqe_fast.evaluation import evaluate as run
        from vqe_fast.evaluation import write_results
        from vqe_fast.video.quality import DEFAULT_MODEL

        settings = (
            _settings(protocol, codec, qp, crf, max_bitrate)
            if pairs is None
            else _settings_of_pairs(protocol, crf, max_bitrate)
        )
        with ExitStack() as first, progress_bar("measure") as measuring:
            encoding = first.enter_context(progress_bar("encode" if pairs is None else "look"))

            def progress(done: int, total: int) -> None:
                first.close()  # a terminal shows one bar at a time
                if measuring is not None:
                    measuring(done, total)

            done = run(
                clips,
                model or ([DEFAULT_MODEL] if pairs is None else []),
                settings,
                pairs=pairs,
                qp=None if pairs is None or qp is None else _number(qp),
                output=output,
                cache=cache,
                frames=frames,
                metrics=[] if metrics is None else _words(metrics),
                detector=detector,
                device=device,
                model_options=values_by_name(option),
                processes=workers,
                cluster=cluster,
                worker_cpus=worker_cpus,
                worker_gpus=worker_gpus,
                announce=_announce,
                encoding=encoding,
                progress=progress,
            )
        write_results(done, output)
    _print(done, output)
    if done.failed:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _settings(
    protocol: str | None, codec: str, qp: str | None, crf: str | None, max_bitrate: str | None
) -> str | list[dict[str, Any]]:
    given = [name for name, text in (("--qp", qp), ("--crf", crf)) if text is not None]
    if protocol is not None:
        if given or max_bitrate is not None:
            raise ValueError("a protocol has its own settings: leave --qp, --crf and others out")
        return protocol
    if len(given) != 1:
        raise ValueError("give --protocol, or one of --qp and --crf, such as --qp 22,27,32,37")
    if max_bitrate is not None and crf is None:
        raise ValueError("--max-bitrate goes with --crf")
    mode = given[0].removeprefix("--")
    grid: dict[str, Any] = {"codec": codec, "mode": mode, "values": _numbers(given[0], qp or crf)}
    if max_bitrate is not None:
        grid["max_bitrates"] = _numbers("--max-bitrate", max_bitrate)
    return [grid]


def _settings_of_pairs(
    protocol: str | None, crf: str | None, max_bitrate: str | None
) -> str | None:
    if crf is not None or max_bitrate is not None:
        raise ValueError("pairs are compressed already: leave --crf and --max-bitrate out")
    return protocol


def _number(qp: str) -> float:
    try:
        return float(qp)
    except ValueError as error:
        raise ValueError(f"with --pairs --qp takes one QP such as 37, got {qp!r}") from error


def _numbers(option: str, text: str | None) -> list[int]:
    try:
        return [int(word) for word in _words(text or "")]
    except ValueError as error:
        raise ValueError(f"{option} takes whole numbers like 22,27,32, got {text!r}") from error


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _announce(plan: Plan) -> None:
    kept = f", {plan.kept} kept" if plan.kept else ""
    typer.echo(
        f"{plan.clips} clips, {plan.frames} frames: {plan.streams} to encode, "
        f"about {size_in_words(plan.bytes)}{kept}"
    )


def _name_width(rows: Sequence[Sequence[str]], column: int) -> int:
    """Characters that names get before figures are broken into lines; commands are longer."""
    return min(max(len(row[column]) for row in rows), 18)


def _print(evaluation: Evaluation, output: Path) -> None:
    """The tables that fit a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vqe_fast.evaluation.files import REPORT_NAME
    from vqe_fast.evaluation.tables import (
        asked_measures,
        bjontegaard,
        failures,
        gains_by_family,
        summary,
    )

    console = Console()
    names = [name for name in evaluation.protocol.tables if name in evaluation.means[0].figures]
    tables = (asked_measures, gains_by_family, bjontegaard, failures)
    for found in (summary(evaluation, names), *(make(evaluation) for make in tables)):
        if found is None:
            continue
        table = Table(box=None, pad_edge=False, collapse_padding=True)
        table.title, table.title_justify, table.title_style = found.title, "left", "bold"
        for number, title in enumerate(found.header):
            is_left = number < found.left
            table.add_column(
                escape(title),
                justify="left" if is_left else "right",
                overflow="fold",
                min_width=_name_width(found.rows, number) if is_left else None,
            )
        for number, row in enumerate(found.rows):
            if number and number in found.sections:
                table.add_section()
            table.add_row(*(_BOLD.sub(r"[bold]\1[/bold]", escape(cell)) for cell in row))
        console.print(table)
        console.print()
    for note in evaluation.notes:
        console.print(f"Note: {escape(note)}")
    console.print(f"{escape(str(output / REPORT_NAME))} has more, and plots are beside it.")
