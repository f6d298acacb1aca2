"""Temporal profiles: one row or column of all frames, beside each other in time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, Self

import numpy as np

from vqe_fast.comparison.footage import Footage, Pixels, Shown
from vqe_fast.comparison.matching import Videos
from vqe_fast.comparison.sheet import Sheet, shortened
from vqe_fast.comparison.writing import drafted
from vqe_fast.video.errors import VideoError

_MOST_FRAMES = 8000
_WIDE_ENOUGH, _WIDEST_FRAME = 640, 8  # pixels
_MARGIN, _LINE, _NARROWEST = 16, 18, 300


@dataclass(frozen=True)
class Line:
    """A row or a column of pixels, counted from 0 at the top or at the left."""

    kind: Literal["row", "column"]
    index: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``row=120`` or ``column=200``.

        Raises:
            VideoError: it is something else.
        """
        found = re.fullmatch(r"(row|column)=(\d+)", text)
        if found is None:
            raise VideoError(f"a profile is of row=Y or column=X, such as row=120; got {text}")
        return cls("row" if found[1] == "row" else "column", int(found[2]))


def draw_profile(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    target: str | os.PathLike[str],
    line: Line,
    *,
    reference: str | os.PathLike[str] | None = None,
    start: float = 0.0,
    frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> int:
    """Writes a PNG with the same row or column of all frames, stacked for each video.

    What moves smoothly draws smooth lines, and flicker shows as streaks: figure 7 of PeQuENet. Time
    goes to the right for a column and downwards for a row. Pixels are those of the videos; where
    there are few frames each is some pixels wide.

    Args:
        a: a video.
        b: the video to compare with it, of the same size.
        target: the PNG to write; one that exists is replaced.
        line: the row or column.
        reference: the original of both.
        start: seconds of ``a`` to pass over.
        frames: how many; None for all.
        progress: called after each frame with how many are done, and of how many.

    Returns:
        The number of frames.

    Raises:
        VideoError: the videos cannot be compared, have no such line or too many frames, or the PNG
            cannot be written.
    """
    paths = [Path(path) for path in (a, b, reference) if path is not None]
    target = Path(target)
    with drafted(target, paths) as draft, Videos(paths) as videos:
        profiles = read_profiles(videos, line, start=start, frames=frames, progress=progress)
        _sheet(videos, line, profiles).save(draft)
    count: int = profiles[0].shape[_time_axis(line)]
    return count


def read_profiles(
    videos: Videos,
    line: Line,
    *,
    start: float = 0.0,
    frames: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Pixels]:
    """The profiles of all videos, for T frames (H, T, 3) of a column, (T, W, 3) of a row.

    Raises:
        VideoError: there is no such line, or there are too many frames.
    """
    first = videos.footage[0]
    sides = {"row": first.height, "column": first.width}
    if line.index >= sides[line.kind]:
        raise VideoError(
            f"there is no {line.kind} {line.index}: the frames have {sides[line.kind]}, counted "
            "from 0"
        )
    count = min(videos.frame_counts) if frames is None else frames
    if not 1 <= count <= _MOST_FRAMES:
        raise VideoError(
            f"a profile can have 1 to {_MOST_FRAMES} frames, not {count}; give another number "
            "(--frames)"
        )
    lines: list[list[Pixels]] = [[] for _ in videos.footage]
    for done, moment in enumerate(islice(videos.moments(start), count)):
        for found, footage, shown in zip(lines, videos.footage, moment, strict=True):
            found.append(_line_of(footage, shown, line))
        if progress is not None:
            progress(done + 1, count)
    return [np.stack(each, _time_axis(line)) for each in lines]


def _time_axis(line: Line) -> int:
    return 1 if line.kind == "column" else 0


def _line_of(footage: Footage, shown: Shown, line: Line) -> Pixels:
    pixels = footage.pixels(shown)
    return (pixels[line.index] if line.kind == "row" else pixels[:, line.index]).copy()


def _sheet(videos: Videos, line: Line, profiles: list[Pixels]) -> Sheet:
    time_axis = _time_axis(line)
    count = profiles[0].shape[time_axis]
    times = min(max(_WIDE_ENOUGH // count, 1), _WIDEST_FRAME)
    profiles = [profile.repeat(times, time_axis) for profile in profiles]
    height, width, _ = profiles[0].shape
    tall = int(1.5 * _LINE) + height + _MARGIN
    room = max(width, _NARROWEST)
    sheet = Sheet(2 * _MARGIN + room, 2 * _MARGIN + _LINE + tall * len(profiles))
    towards = "to the right" if line.kind == "column" else "downwards"
    pixels = "pixel" if times == 1 else "pixels"
    title = f"{line.kind} {line.index} of {count} frames, {towards}, {times} {pixels} each"
    sheet.text(title, _MARGIN, _MARGIN)
    for index, (footage, profile) in enumerate(zip(videos.footage, profiles, strict=True)):
        top = _MARGIN + _LINE + index * tall
        name = shortened(f"{footage.letter}  {footage.name}", room)
        sheet.text(name, _MARGIN, top + _LINE // 4, bold=True)
        sheet.picture(profile, _MARGIN, top + int(1.5 * _LINE))
    return sheet
