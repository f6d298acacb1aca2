"""Matching of the frames of several videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, dropwhile
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from vqe_fast.comparison.crop import Crop
from vqe_fast.comparison.footage import Footage, Shown
from vqe_fast.video.errors import SourceError, VideoError

_LETTERS = "ABR"
_ROUNDING = 1e-9


class Videos:
    """The videos of a comparison, opened: A and B, and the reference R if there is one.

    Frames are matched by their number where all videos have as many; else each frame of A is shown
    with those of the others that are nearest in time, as seconds since the first frame; of two
    equally near the earlier one, which is still on the screen.

    Attributes:
        footage: the videos.
        crop: what is compared of their frames.
        by_number: whether frames are matched by their number.
        frame_counts: of each video, as its container tells.
    """

    def __init__(
        self, paths: Sequence[Path], crop: Crop | None = None, b_begins: float | None = None
    ) -> None:
        """Opens the files.

        Args:
            paths: of A, B and perhaps R.
            crop: the part of the frames; None for all.
            b_begins: where B begins if it is an excerpt: with the first frame of A that is so many
                seconds after its first one.

        Raises:
            VideoError: one cannot be read, their sizes differ, or the crop lies outside.
        """
        with ExitStack() as opened:
            self.footage = [
                opened.enter_context(Footage(letter, path))
                for letter, path in zip(_LETTERS, paths, strict=False)
            ]
            first = self.footage[0]
            for other in self.footage[1:]:
                _refuse_other_size(first, other)
            self.crop = crop or Crop(first.width, first.height)
            self.crop.refuse_outside(first.width, first.height)
            self.frame_counts = [each.count_frames() for each in self.footage]
            self._b_begins = b_begins
            self.by_number = len(set(self.frame_counts)) == 1 and b_begins is None
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, traceback)

    @property
    def reference(self) -> Footage | None:
        """The reference R, if there is one."""
        return self.footage[2] if len(self.footage) > 2 else None

    @property
    def full_range(self) -> bool:
        """The range in which luma is measured: that of the reference, or of A."""
        return (self.reference or self.footage[0]).full_range

    def moments(self, start: float = 0.0) -> Iterator[tuple[Shown, ...]]:
        """Frames that are shown together, once, up to the end of the video that ends first.

        Args:
            start: seconds of A that are passed over.

        Raises:
            VideoError: a file cannot be read on, or A ends before ``start``.
        """
        first, *others = self.footage
        match = _SameNumber if self.by_number else _Nearest
        frames = first.shown()
        if self._b_begins is not None:
            frames = _from(frames, self._b_begins)
            begin = next(frames, None)
            if begin is not None:
                others[0].begins = begin.seconds
                frames = chain((begin,), frames)
        matches: list[_Match] = [match(each) for each in others]
        is_empty = True
        for shown in frames:
            partners = [each.partner(shown) for each in matches]
            found = [partner for partner in partners if partner is not None]
            if len(found) < len(partners):
                break
            if shown.seconds >= start - _ROUNDING:
                is_empty = False
                yield (shown, *found)
        if is_empty:
            raise VideoError(f"there is no frame to compare from {start:g} s on; start earlier")


def _from(frames: Iterator[Shown], seconds: float) -> Iterator[Shown]:
    return dropwhile(lambda shown: shown.seconds < seconds - _ROUNDING, frames)


class _Match(Protocol):
    """Finds the frames of a video that belong to those of another, asked for in their order."""

    def partner(self, shown: Shown) -> Shown | None:
        """None at the end."""
        ...


class _SameNumber:
    def __init__(self, footage: Footage) -> None:
        self._frames = footage.shown()

    def partner(self, shown: Shown) -> Shown | None:
        return next(self._frames, None)


class _Nearest:
    def __init__(self, footage: Footage) -> None:
        self._frames = footage.shown()
        self._current, self._following = next(self._frames, None), next(self._frames, None)
        self._duration = float(1 / footage.facts.frame_rate)

    def partner(self, shown: Shown) -> Shown | None:
        while (
            self._current is not None
            and self._following is not None
            and self._following.seconds + self._current.seconds < 2 * shown.seconds - 1e-6
        ):
            self._current, self._following = self._following, next(self._frames, None)
        current = self._current
        if current is None or self._following is not None:
            return current
        return current if shown.seconds < current.seconds + self._duration - 1e-6 else None


def _refuse_other_size(first: Footage, other: Footage) -> None:
    if (first.width, first.height) != (other.width, other.height):
        raise SourceError(
            f"{first.path} has {first.width}x{first.height} pixels and {other.path} "
            f"{other.width}x{other.height}; videos of one size can be compared, so scale one first"
        )
