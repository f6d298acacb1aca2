"""``vqe-fast enhance``: enhances video files."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vqe_fast.cli.exit_codes import interruption, refusal
from vqe_fast.cli.json_log import json_log
from vqe_fast.cli.option_parameters import values_by_name, with_command_line_options


class Quality(StrEnum):
    """What is to be had for the time."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class LogFormat(StrEnum):
    """What standard error gets."""

    TEXT = "text"
    JSON = "json"


QualityOption = Annotated[
    Quality | None,
    typer.Option(
        help="What is to be had for the time; each stands for a model.",
        show_default="balanced",
    ),
]


@with_command_line_options
def enhance(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="The video to enhance, several, or a directory; a path or a URL; "
            "- for standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Argument(
            metavar="OUTPUT",
            help="The file to write: .mp4, .mov, .mkv or .webm; - for standard output. "
            "For several inputs a directory. Without it a.mp4 becomes a.enhanced.mp4.",
            show_default=False,
        ),
    ] = None,
    quality: QualityOption = None,
    format_of_pipe: Annotated[
        str | None,
        typer.Option("--format", help="Container for standard output: mp4, mov, mkv or webm."),
    ] = None,
    start: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Where in INPUT to begin.",
            show_default="its first frame",
        ),
    ] = 0.0,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames.", show_default="all")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Write what was done as JSON; - for standard output.",
            allow_dash=True,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Of a directory take the I-th of every N files by name, I from 1 on, for N runs "
            "that share it. All have to see the same files.",
            show_default="all",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    log: Annotated[
        LogFormat,
        typer.Option(help="What standard error gets: text with a bar, or JSON, an event a line."),
    ] = LogFormat.TEXT,
    metrics: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.prom",
            help="Write frames, files and workers as Prometheus text, every 10 seconds.",
        ),
    ] = None,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="Try it for some seconds, tell time and size, and write nothing."
        ),
    ] = False,
    **options: Any,
) -> None:
    """Enhances the frames of INPUT and writes OUTPUT; all else is kept as it is.
    Standard input is read to its end first; standard output is written when all is done.

    Of a directory all videos are enhanced, those in sub-directories too. A file that cannot be
    enhanced does not keep others from it; a table at the end tells what became of each. With
    --resume what was done before just so is skipped, and what another run is working on.

    Exit codes: 0 done, 1 done but parts of INPUT were damaged, 2 refused options, 3 refused
    INPUT, 4 workers failed, 130 interrupted; of several inputs the largest.
    """
    with json_log(quiet) if log is LogFormat.JSON else nullcontext() as lines:
        from vqe_fast.cli.batch_inputs import is_several, split_output
        from vqe_fast.cli.enhance_batch import enhance_several
        from vqe_fast.cli.enhance_file import enhance_one
        from vqe_fast.cli.estimates import tell_estimates
        from vqe_fast.cli.going_on import after_one, after_several
        from vqe_fast.cli.metrics_file import refuse_metrics
        from vqe_fast.cli.pipes import PIPE
        from vqe_fast.cli.report_file import refuse_report
        from vqe_fast.cli.run_output import RunOutput
        from vqe_fast.cli.shards import Shard
        from vqe_fast.storage.location import absolute, is_folder, location
        from vqe_fast.video import VideoError
        from vqe_fast.video.errors import storage_refusals
        from vqe_fast.video.media.output_name import beside
        from vqe_fast.weights import WeightsError

        told = RunOutput(lines, quiet)
        options |= {"start": start, "frames": frames, "overwrite": overwrite}
        with refusal(VideoError, say=told.refused), storage_refusals():
            paths = [*(inputs or ()), *(() if output is None else (output,))]
            sources, wanted = split_output(paths)
            target = beside(sources[0], options["codec"]) if wanted is None else location(wanted)
            is_one = wanted is None or not is_several(sources, wanted)
            if options["cluster"] is not None:  # whose workers are in other folders
                sources = [each if each == PIPE else absolute(each) for each in sources]
                target = target if target == PIPE else absolute(target)

        def left() -> str:
            if is_one:
                return after_one(sources[0], target, options)
            return after_several(target, options)

        with (
            interruption(left, told.interrupted),
            refusal(VideoError, WeightsError, say=told.refused),
            storage_refusals(),
        ):
            options["model"] = chosen_model(options["model"], quality, options["weights"])
            options["model_options"] = values_by_name(options["model_options"])
            part = None if shard is None else Shard.parse(shard)
            if part is not None and len(sources) == 1 and not is_folder(sources[0]):
                raise VideoError(
                    "a shard is of the files of a directory; name a directory, or leave out --shard"
                )
            if report is not None:
                refuse_report(report, target)
            if metrics is not None:
                refuse_metrics(metrics, target, report)
            if estimate and metrics is not None:
                raise VideoError("an estimate enhances nothing to count; leave out --metrics")
            with told.metrics(metrics):
                if estimate:
                    code = tell_estimates(sources, target, is_one, options, report, part)
                elif is_one:
                    code = enhance_one(sources[0], target, format_of_pipe, options, report, told)
                else:
                    code = enhance_several(sources, target, options, report, told, part)
        told.end(code)
    if code:
        raise typer.Exit(code)


def chosen_model(model: str | None, quality: Quality | None, weights: Path | None) -> str | None:
    """The model's name, as given or as the quality stands for; None for that of the weights.

    Raises:
        VideoError: both a quality and a model or weights are given.
    """
    from vqe_fast.video import VideoError
    from vqe_fast.video.quality import model_for

    if quality is not None and (model is not None or weights is not None):
        raise VideoError("--quality stands for a model and its weights; leave it or those out")
    if model is None and weights is None:
        return model_for((quality or Quality.BALANCED).value)
    return model
