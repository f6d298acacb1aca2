"""Slices of FFV1 that cover frames whose chroma has a quarter of luma's columns or rows.

FFmpeg cuts a frame into a grid of slices at luma samples. Where the last cut leaves a slice whose
chroma, rounded up from its own size, ends before that of the frame, the last samples of chroma are
not coded. FFmpeg passes over such grids, but only finds all of them for halved chroma.
"""

from __future__ import annotations

from collections.abc import Iterator

from av.video.format import VideoFormat

_QUARTER = 4
_SMALL = (352, 288)  # frames up to this size may have one slice
_MOST = 32  # slices across or down


def covering_slices(width: int, height: int, pixel_format: str) -> int | None:
    """The number of slices to ask FFmpeg's encoder for so that they cover a frame of FFV1.

    Args:
        width: samples per row of luma.
        height: rows of luma.
        pixel_format: FFmpeg's name of it.

    Returns:
        The number; None where the encoder's own choice covers every frame, or nothing does.
    """
    block = VideoFormat(pixel_format, _QUARTER, _QUARTER)
    across, down = _QUARTER // block.chroma_width(), _QUARTER // block.chroma_height()
    if _QUARTER not in (across, down):
        return None
    grids = list(_grids(width, height, across, down))
    for columns, rows in grids:
        count = columns * rows
        taken = next(grid for grid in grids if grid[0] * grid[1] == count)
        if _covers(width, taken[0], across) and _covers(height, taken[1], down):
            return count
    return None


def _grids(width: int, height: int, across: int, down: int) -> Iterator[tuple[int, int]]:
    """Grids in the order in which the encoder looks for one with the number of slices asked for."""
    most_columns, most_rows = -(-width // across), -(-height // down)
    least = min(2 if width > _SMALL[0] or height > _SMALL[1] else 1, most_rows)
    for rows in range(least, min(_MOST, most_rows) + 1):
        for columns in range(rows, min(2 * rows, most_columns) + 1):
            if not (_is_passed_over(width, columns, across) or _is_passed_over(height, rows, down)):
                yield columns, rows


def _is_passed_over(size: int, parts: int, step: int) -> bool:
    last = size - size * (parts - 1) // parts
    return size % step != 0 and last % step == 0


def _covers(size: int, parts: int, step: int) -> bool:
    """Whether the chroma of the last of ``parts`` reaches the end of that of ``size``."""
    start = size * (parts - 1) // parts
    return start // step + -(-(size - start) // step) == -(-size // step)
