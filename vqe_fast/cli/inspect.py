"""``vqe-fast inspect``: how a video was compressed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from vqe_fast.cli.exit_codes import interruption, refusal
from vqe_fast.storage.location import Location


def inspect(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="The video to look at; a path or a URL.")
    ],
    json: Annotated[
        Path | None,
        typer.Option(help="Write all that is known of each frame as JSON; - for stdout."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw QP and size over time, and one frame's QPs: a PNG.")
    ] = None,
    frame: Annotated[
        int | None,
        typer.Option(
            min=0, help="The frame to draw, counted from 0.", show_default="the middle one"
        ),
    ] = None,
) -> None:
    """Tells how FILE was compressed: the types of its frames, their QPs and sizes.

    Exit codes: 0 done, 2 refused options, 3 refused FILE, 130 interrupted.
    """
    from vqe_fast.inspection.inspect import CannotInspect
    from vqe_fast.storage.location import location
    from vqe_fast.video import VideoError
    from vqe_fast.video.errors import storage_refusals

    with interruption("interrupted"), refusal(VideoError, CannotInspect), storage_refusals():
        _inspect(location(source), json, picture, frame)


def _inspect(source: Location, json: Path | None, picture: Path | None, frame: int | None) -> None:
    from vqe_fast.inspection.inspect import (
        STDOUT,
        CannotInspect,
        inspect_video,
        read_frame,
        writing,
    )
    from vqe_fast.inspection.table import print_table

    if frame is not None and picture is None:
        raise CannotInspect("--frame says what to draw; add --picture OUT.png")
    if picture is not None and find_spec("matplotlib") is None:
        raise CannotInspect("a picture needs matplotlib: pip install matplotlib")
    inspection = inspect_video(source, json)
    if picture is not None:
        from vqe_fast.inspection.picture import draw

        number = len(inspection.frames) // 2 if frame is None else frame
        chosen, luma = read_frame(source, number)
        with writing(picture, source) as draft:
            draw(inspection, number, chosen, luma, draft)
    if json != STDOUT:
        print_table(inspection)
