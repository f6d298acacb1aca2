"""``vqe-fast enhance``: files in, better files out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vqe_fast.cli.exit_codes import interruption, refusal


class _Interlaced(StrEnum):
    REFUSE = "refuse"
    FIELDS = "fields"


class _Quality(StrEnum):
    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class _Precision(StrEnum):
    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


def enhance(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="The video to enhance, several, or a directory; - for standard input.",
            allow_dash=True,
        ),
    ],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT",
            help="The file to write: .mp4, .mov, .mkv or .webm; - for standard output. "
            "For several inputs a directory.",
        ),
    ],
    quality: Annotated[
        _Quality | None,
        typer.Option(
            help="What is to be had for the time; each stands for a model.",
            show_default="balanced",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model's name instead; `vqe-fast models` lists them.",
            show_default="that of --quality or --weights",
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights (.safetensors) instead of those that ship.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")] = "auto",
    precision: Annotated[
        _Precision, typer.Option(help="auto takes 16 bits where that is faster and as good.")
    ] = _Precision.AUTO,
    codec: Annotated[
        str,
        typer.Option(
            help="Encoder: libx264, libx265, libsvtav1, libvpx-vp9, ffv1 (lossless), "
            "or source (that of INPUT's codec)."
        ),
    ] = "libx264",
    crf: Annotated[
        int | None,
        typer.Option(
            help="Quality of the encoder, smaller is better, 0 is lossless.",
            show_default="18 for libx264, 20 for libx265, 25 for libsvtav1, 24 for libvpx-vp9",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Speed of the encoder.", show_default="the encoder's")
    ] = None,
    pix_fmt: Annotated[
        str | None,
        typer.Option(
            help="Pixel format to convert to, such as yuv420p10le.", show_default="INPUT's"
        ),
    ] = None,
    interlaced: Annotated[
        _Interlaced, typer.Option(help="Refuse interlaced video, or enhance its fields.")
    ] = _Interlaced.REFUSE,
    container: Annotated[
        str | None,
        typer.Option("--format", help="Container for standard output: mp4, mov, mkv or webm."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames.", show_default="all")
    ] = None,
    qp: Annotated[
        float | None,
        typer.Option(
            min=0, max=63, help="QP of all frames.", show_default="that of each in its stream"
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=32, help="Pixels a side of tiles.", show_default="whole frames if memory allows"
        ),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(help="What the model may take, such as 2GiB.", show_default="what is free"),
    ] = None,
    clip_frames: Annotated[
        int | None,
        typer.Option(
            min=13,
            help="Frames that a recurrent model sees together.",
            show_default="up to 48 as memory allows",
        ),
    ] = None,
    segment_seconds: Annotated[
        float | None,
        typer.Option(
            help="Work in segments of about that length, which are kept if interrupted.",
            show_default="one pass; 30 with --workers or --resume",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(min=1, help="Processes to share segments, each with a GPU, or on a CPU."),
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the segments in OUTPUT.parts.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Write what was done as JSON; - for standard output.",
            allow_dash=True,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUTPUT.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Enhances the frames of INPUT and writes OUTPUT; all else is kept as it is.

    Standard input is read to its end first; standard output is written when all is done.

    Of a directory all videos are enhanced, those in sub-directories too. A file that cannot be
    enhanced does not keep others from it; a table at the end tells what became of each.

    Exit codes: 0 done, 1 done but parts of INPUT were damaged, 2 refused, 130 interrupted; of
    several inputs the largest.
    """
    from vqe_fast.cli.batch_inputs import is_several
    from vqe_fast.cli.enhance_batch import enhance_several
    from vqe_fast.cli.enhance_file import enhance_one
    from vqe_fast.cli.report_file import refuse_report
    from vqe_fast.video import VideoError
    from vqe_fast.video.segments.resume_state import parts_path
    from vqe_fast.weights import WeightsError

    options: dict[str, Any] = {
        "weights": weights,
        "device": device,
        "precision": precision.value,
        "codec": codec,
        "crf": crf,
        "preset": preset,
        "pix_fmt": pix_fmt,
        "interlaced": interlaced.value,
        "frames": frames,
        "qp": qp,
        "tile": tile,
        "max_memory": max_memory,
        "clip_frames": clip_frames,
        "segment_seconds": segment_seconds,
        "workers": workers,
        "resume": resume,
        "overwrite": overwrite,
    }
    target = Path(output)
    is_one = not is_several(sources, output)

    def left() -> str:
        rest = "; go on with --resume" if parts_path(target).exists() else ""
        state = f"was not written{rest}" if is_one else "lacks files; go on with --resume"
        return f"interrupted, {target} {state}"

    with interruption(left), refusal(VideoError, WeightsError):
        options["model"] = _chosen(model, quality, weights)
        if report is not None:
            refuse_report(report, target)
        if is_one:
            code = int(enhance_one(sources[0], target, container, options, report, quiet))
        else:
            code = enhance_several(sources, target, options, report, quiet)
    if code:
        raise typer.Exit(code)


def _chosen(model: str | None, quality: _Quality | None, weights: Path | None) -> str:
    """The model's name: as given, as the weights say, or as the quality stands for."""
    from vqe_fast.models.quality import model_for
    from vqe_fast.video import VideoError
    from vqe_fast.weights import metadata_of

    if quality is not None and (model is not None or weights is not None):
        raise VideoError("--quality stands for a model and its weights; leave it or those out")
    if model is None and weights is not None:
        model = metadata_of(weights).get("model")
    return model or model_for((quality or _Quality.BALANCED).value)
