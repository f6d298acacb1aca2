"""Figures of compared frames: PSNR, SSIM, QPs, types and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf
from statistics import fmean
from typing import Any

from vqe_fast.comparison.footage import Shown
from vqe_fast.comparison.matching import Videos
from vqe_fast.comparison.measures import Quality
from vqe_fast.video.qp import FrameQP

_UNKNOWN = FrameQP(None, "?", 0)


class Figures:
    """Collector of the figures of compared frames; of the coding, those of A and B.

    Attributes:
        count: moments so far.
    """

    def __init__(self, videos: Videos) -> None:
        self.count = 0
        self._videos = videos
        self._seconds: list[float] = []
        self._numbers: dict[str, list[int]] = {each.letter: [] for each in videos.footage}
        self._coding: dict[str, list[FrameQP]] = {"A": [], "B": []}
        measured = ("A", "B") if videos.reference else ("AB",)
        self._quality: dict[str, list[Quality]] = {name: [] for name in measured}

    def add(self, moment: tuple[Shown, ...], quality: Sequence[Quality]) -> None:
        """Adds frames that are shown together, in display order."""
        self.count += 1
        self._seconds.append(moment[0].seconds)
        for footage, shown in zip(self._videos.footage, moment, strict=True):
            numbers, coding = self._numbers[footage.letter], self._coding.get(footage.letter)
            if coding is not None:
                is_same = bool(numbers) and numbers[-1] == shown.number
                coding.append(coding[-1] if is_same else footage.coding(shown) or _UNKNOWN)
            numbers.append(shown.number)
        for found, each in zip(self._quality.values(), quality, strict=True):
            found.append(each)

    def means(self) -> dict[str, Quality]:
        """Mean PSNR and SSIM, by pair."""
        return {
            name: Quality(fmean(q.psnr for q in found), fmean(q.ssim for q in found))
            for name, found in self._quality.items()
        }

    def remarks(self) -> list[str]:
        """Remarks on the pictures, in sentences."""
        videos = self._videos
        said = [
            "Pictures are the decoded frames as RGB of 8 bits, by the matrix and range of each "
            "stream, in lossless WebP."
        ]
        if videos.by_number:
            said.append("Frames are matched by their number.")
        else:
            counts = ", ".join(
                f"{each.letter} {count:,}"
                for each, count in zip(videos.footage, videos.frame_counts, strict=True)
            )
            said.append(
                f"The videos differ in their number of frames ({counts}): each frame of A is shown "
                "with the nearest in time, up to the end of the shortest."
            )
        is_whole = (videos.crop.width, videos.crop.height) == (
            videos.footage[0].width,
            videos.footage[0].height,
        )
        if not is_whole:
            said.append(f"Pictures, PSNR and SSIM are of the part {videos.crop} of the frames.")
        for footage in videos.footage:
            said += footage.remarks
            if footage.is_damaged:
                said.append(f"Parts of {footage.letter} are damaged; frames may be missing.")
        return said

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON; infinite PSNRs are the string ``inf``."""
        videos = self._videos
        return {
            "width": videos.crop.width,
            "height": videos.crop.height,
            "total": videos.frame_counts[0],
            "seconds": [round(each, 6) for each in self._seconds],
            "videos": [
                {
                    "letter": each.letter,
                    "name": each.name,
                    "details": each.in_words,
                    "numbers": self._numbers[each.letter],
                }
                for each in videos.footage
            ],
            "types": {
                letter: "".join(frame.type for frame in frames)
                for letter, frames in self._coding.items()
            },
            "curves": {
                "psnr": {
                    name: ["inf" if isinf(q.psnr) else round(q.psnr, 4) for q in found]
                    for name, found in self._quality.items()
                },
                "ssim": {
                    name: [round(q.ssim, 6) for q in found] for name, found in self._quality.items()
                },
                "qp": {
                    letter: [None if f.qp is None else round(f.qp, 2) for f in frames]
                    for letter, frames in self._coding.items()
                },
                "size": {
                    letter: [frame.size or None for frame in frames]
                    for letter, frames in self._coding.items()
                },
            },
            "remarks": self.remarks(),
        }
