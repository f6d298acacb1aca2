"""``vqe-fast compare``: two versions of a video beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vqe_fast.cli.exit_codes import interruption, refusal


def compare(
    a: Annotated[
        Path,
        typer.Argument(metavar="A", help="A video, such as the compressed one.", readable=False),
    ],
    b: Annotated[
        Path,
        typer.Argument(metavar="B", help="Another version of it, of its size.", readable=False),
    ],
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="R", help="The original: quality is measured against it.", readable=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="PAGE.html", help="The page to write, for any browser, offline."),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Write stills, or with --profile a profile."),
    ] = None,
    start: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Where in A to begin.")
    ] = 0.0,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many frames the page or the profile has.",
            show_default="page: 5 seconds, at most 128 MB; profile: all",
        ),
    ] = None,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="WxH+X+Y", help="Show and measure this part: width, height, left, top."
        ),
    ] = None,
    frame: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            help="A frame of A for the stills, counted from 0; may be repeated.",
            show_default="where A and B differ most",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="row=Y|column=X", help="Draw this row or column of all frames over time."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Shows A and B, and the original if given, as an HTML page or as a PNG.

    The page holds every frame losslessly, steps and plays all videos together, with a divider,
    zoom, a magnifier, the amplified difference, and curves of PSNR, SSIM, QP and bytes.

    Exit codes: 0 done, 2 refused options, 3 refused input, 130 interrupted.
    """
    with interruption("interrupted, nothing was left half written"):
        from vqe_fast.cli.compare_files import Request, run
        from vqe_fast.video import VideoError

        asked = Request(a, b, reference, output, png, start, frames, crop, frame, profile)
        with refusal(VideoError):
            run(asked, quiet)
