"""Stills: frames of several videos beside each other, at their size and magnified."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isinf
from pathlib import Path

import numpy as np

from vqe_fast.comparison.boxes import busiest_box
from vqe_fast.comparison.crop import Crop
from vqe_fast.comparison.footage import Pixels, Shown
from vqe_fast.comparison.matching import Videos
from vqe_fast.comparison.measures import Quality, lumas, measure
from vqe_fast.comparison.sheet import Sheet, shortened
from vqe_fast.comparison.writing import drafted
from vqe_fast.video.errors import VideoError
from vqe_fast.video.qp import FrameQP

MAGNIFICATION = 4

_LARGEST = (480, 360)
_NARROWEST = 250  # for the text
_MARGIN, _LINE = 16, 18


@dataclass(frozen=True)
class _Still:
    """A moment: pictures, and what is written over them."""

    title: str
    number: int
    pictures: list[Pixels]
    labels: list[list[str]]
    box: tuple[int, int, int, int]  # left, top, width, height of what is magnified


def draw_stills(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    reference: str | os.PathLike[str] | None = None,
    frames: Sequence[int] | None = None,
    crop: Crop | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[int]:
    """Writes a PNG with the same crops of frames of two or three videos, pixel for pixel.

    Below each crop the part of it where A and B differ most is magnified four times, without
    smoothing. PSNR and SSIM are of the luma of the whole frame, or of ``crop``.

    Args:
        a: a video.
        b: the video to compare with it, of the same size.
        target: the PNG to write; one that exists is replaced.
        reference: the original of both.
        frames: numbers of frames of ``a``, counted from 0; None for the one where A and B differ
            most.
        crop: the part of the frames; None for the 480×360 pixels where A and B differ most.
        progress: called after each frame read with how many are done, and of how many.

    Returns:
        The numbers of the frames drawn.

    Raises:
        VideoError: the videos cannot be compared, have no such frame, or the PNG cannot be written.
    """
    paths = [Path(path) for path in (a, b, reference) if path is not None]
    target = Path(target)
    wanted = None if frames is None else sorted(set(frames))
    if wanted is not None and (not wanted or wanted[0] < 0):
        raise VideoError(f"frames are counted from 0, got {', '.join(map(str, wanted)) or 'none'}")
    with drafted(target, paths) as draft:
        stills = _read(paths, wanted, crop, progress)
        _sheet(stills).save(draft)
    return [still.number for still in stills]


def _read(
    paths: Sequence[Path],
    wanted: list[int] | None,
    crop: Crop | None,
    progress: Callable[[int, int | None], None] | None,
) -> list[_Still]:
    with Videos(paths, crop) as videos:
        stills: list[_Still] = []
        greatest = -1.0
        for done, moment in enumerate(videos.moments()):
            number = moment[0].number
            if wanted is None:
                error = _error(videos, moment)
                if error > greatest:
                    greatest, stills = error, [_still(videos, moment, crop)]
            elif number in wanted:
                stills.append(_still(videos, moment, crop))
            if progress is not None:
                progress(done + 1, min(videos.frame_counts))
            if wanted is not None and number >= wanted[-1]:
                break
    found = {still.number for still in stills}
    missing = [number for number in wanted or () if number not in found]
    if missing:
        raise VideoError(
            f"there is no frame {missing[0]} to compare: the videos have {done + 1} in common, "
            "counted from 0"
        )
    return stills


def _error(videos: Videos, moment: tuple[Shown, ...]) -> float:
    first, second, *_ = lumas(videos, moment)
    return float((first - second).square().mean())


def _still(videos: Videos, moment: tuple[Shown, ...], crop: Crop | None) -> _Still:
    rows, columns = videos.crop.slices
    pictures = [
        footage.pixels(shown)[rows, columns]
        for footage, shown in zip(videos.footage, moment, strict=True)
    ]
    change = ((pictures[0].astype(np.float32) - pictures[1]) ** 2).sum(-1)
    if crop is None:
        width, height = (min(*sides) for sides in zip(_LARGEST, change.shape[::-1], strict=True))
        left, top = busiest_box(change, width, height)
        change = change[top : top + height, left : left + width]
        pictures = [each[top : top + height, left : left + width] for each in pictures]
    height, width = change.shape
    box = width // MAGNIFICATION, height // MAGNIFICATION
    shown, found = moment[0], measure(videos, moment)
    title = f"frame {shown.number}, {shown.seconds:.2f} s"
    of_each: list[Quality | None] = [None] * len(moment)
    if videos.reference is None:
        title += f": A to B {_in_words(found[0])}"
    else:
        of_each = [*found, None]
    labels = []
    for footage, each, quality in zip(videos.footage, moment, of_each, strict=True):
        coding = None if footage is videos.reference else footage.coding(each)
        name = f"{footage.letter}  {footage.name}"
        labels.append(_label(name, quality, coding, width))
    return _Still(title, shown.number, pictures, labels, (*busiest_box(change, *box), *box))


def _label(name: str, quality: Quality | None, coding: FrameQP | None, width: int) -> list[str]:
    lines = [shortened(name, max(width, _NARROWEST))]
    if quality is not None:
        lines.append(_in_words(quality))
    if coding is not None:
        qp = "" if coding.qp is None else f"QP {coding.qp:.1f}, "
        lines.append(f"{qp}type {coding.type}, {coding.size:,} bytes")
    return lines


def _in_words(quality: Quality) -> str:
    ratio = "∞" if isinf(quality.psnr) else f"{quality.psnr:.2f} dB"
    return f"PSNR {ratio}, SSIM {quality.ssim:.4f}"


def _sheet(stills: Sequence[_Still]) -> Sheet:
    height, width, _ = stills[0].pictures[0].shape
    detail = height // MAGNIFICATION * MAGNIFICATION
    column = max(width, _NARROWEST) + _MARGIN
    head = int((1.6 + max(len(label) for label in stills[0].labels)) * _LINE)
    tall = head + height + 6 + detail + _MARGIN
    count = len(stills[0].pictures)
    sheet = Sheet(_MARGIN + column * count, _MARGIN + tall * len(stills))
    for row, still in enumerate(stills):
        top = _MARGIN + row * tall
        sheet.text(still.title, _MARGIN, top, bold=True)
        for index, (picture, label) in enumerate(zip(still.pictures, still.labels, strict=True)):
            left = _MARGIN + index * column
            for line, text in enumerate(label):
                sheet.text(text, left, top + int((1.25 + line) * _LINE), bold=line == 0)
            sheet.picture(_marked(picture, still.box), left, top + head)
            sheet.picture(_magnified(picture, still.box), left, top + head + height + 6)
    return sheet


def _magnified(picture: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    left, top, width, height = box
    part = picture[top : top + height, left : left + width]
    return part.repeat(MAGNIFICATION, 0).repeat(MAGNIFICATION, 1)


def _marked(picture: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """With a line around what is magnified, just outside of it."""
    left, top, width, height = box
    marked = np.pad(picture, ((1, 1), (1, 1), (0, 0)))
    marked[top, left : left + width + 2] = marked[top + height + 1, left : left + width + 2] = 255
    marked[top : top + height + 2, left] = marked[top : top + height + 2, left + width + 1] = 255
    return marked[1:-1, 1:-1]
