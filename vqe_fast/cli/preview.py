"""``vqe-fast preview``: a few seconds enhanced, beside what they were."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from vqe_fast.cli.enhance import QualityOption, chosen_model
from vqe_fast.cli.exit_codes import interruption, refusal
from vqe_fast.cli.option_parameters import with_options_of_a_pass
from vqe_fast.cli.progress_bar import progress_bar

_LATEST, _PART = 60.0, 3  # seconds to begin at if the video is long, and its part if it is not


@with_options_of_a_pass
def preview(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="The video to try.", readable=False)
    ],
    at: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Where in FILE to begin.",
            show_default="a third of it, at most 60",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, metavar="SECONDS", help="How much to enhance.")
    ] = 3.0,
    quality: QualityOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
    **options: Any,
) -> None:
    """Enhances a few seconds of FILE, a.mp4, and writes a page about them, a.preview.html.

    The page is that of vqe-fast compare: it plays both versions together in any browser, offline.

    Exit codes: 0 done, 2 refused options, 3 refused input, 130 interrupted.
    """
    with interruption("interrupted, nothing was left half written"):
        from vqe_fast.cli.compare_files import summary_of
        from vqe_fast.comparison import compare_videos
        from vqe_fast.video import VideoError, enhance_video
        from vqe_fast.video.media.output_name import named_after
        from vqe_fast.weights import WeightsError

        with refusal(VideoError, WeightsError):
            options["model"] = chosen_model(options["model"], quality, options["weights"])
            at, frames = _place(source, at, seconds)
            page = named_after(source, ".preview.html")
            with TemporaryDirectory(prefix="vqe-fast-") as folder:
                excerpt = Path(folder) / named_after(source, ".enhanced.mkv").name
                with progress_bar("enhance", quiet=quiet, frames=True) as progress:
                    enhanced = enhance_video(
                        source,
                        excerpt,
                        start=at,
                        frames=frames,
                        progress=progress,
                        container="auto",
                        **options,
                    )
                with progress_bar("compare", quiet=quiet, frames=True) as progress:
                    report = compare_videos(
                        source,
                        Path(enhanced.target),
                        page,
                        start=at,
                        b_begins=at,
                        frames=frames,
                        progress=progress,
                    )
    if not quiet:
        typer.echo(summary_of(report))


def _place(source: Path, at: float | None, seconds: float) -> tuple[float, int]:
    """Where to begin, in seconds, and how many frames to take.

    Raises:
        VideoError: the video cannot be read.
    """
    from vqe_fast.video.media.reader import VideoReader

    with VideoReader(source, threads=1) as video:
        rate, count = float(video.facts.frame_rate), video.facts.frame_count
    if at is None:
        at = min((count or 0) / rate / _PART, _LATEST)
    return round(at, 3), max(1, round(seconds * rate))
