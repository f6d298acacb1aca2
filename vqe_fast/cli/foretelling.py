"""The line that tells, once an enhancement has begun, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from vqe_fast.cli.going_on import keeps_parts, may_keep_parts
from vqe_fast.cli.in_words import time_in_words
from vqe_fast.cli.progress_bar import Progress
from vqe_fast.storage.errors import StorageError
from vqe_fast.storage.location import Location
from vqe_fast.video import VideoError
from vqe_fast.video.media.open import open_video, pick_stream

_AFTER_SECONDS, _AFTER_FRAMES = 5.0, 3
_WORTH_TELLING = 60.0


def foretelling(
    progress: Progress | None, source: Location, options: Mapping[str, Any]
) -> Callable[[int, int | None], None] | None:
    """Progress that also says, after some seconds, how long all will take if that is long.

    Args:
        progress: what shows it; None to say nothing.
        source: the file that is enhanced.
        options: of :func:`vqe_fast.video.enhance_video`.
    """
    if progress is None:
        return None
    since: float | None = None
    before, is_told = 0, False

    def show(done: int, total: int | None) -> None:
        nonlocal since, before, is_told
        progress(done, total)
        now = time.monotonic()
        if since is None:
            since, before = now, done
        if is_told or now - since < _AFTER_SECONDS or done - before < _AFTER_FRAMES:
            return
        is_told = True
        if (
            total
            and (seconds := (total - before) * (now - since) / (done - before)) > _WORTH_TELLING
        ):
            progress.say(_sentence(seconds, total - before, source, options))

    return show


def _sentence(seconds: float, frames: int, source: Location, options: Mapping[str, Any]) -> str:
    model = options["model"]
    if keeps_parts(options):
        advice = "; Ctrl-C keeps finished segments"
    else:
        advice = "; Ctrl-C ends it"
        advice += ", --segment-seconds 30 would keep parts" if may_keep_parts(options) else ""
    return (
        f"about {time_in_words(seconds)} for {frames:,} frames{_size_of(source)}"
        f"{f' with {model}' if model else ''}{advice}"
    )


def _size_of(source: Location) -> str:
    try:
        with open_video(source) as container:
            stream = pick_stream(container, source)
            return f" of {stream.codec_context.width}x{stream.codec_context.height}"
    except (VideoError, StorageError):  # it is gone meanwhile; who reads it says so
        return ""
