"""Scene cut detection: where a frame no longer continues the one before it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

CUT_THRESHOLD = 0.2
"""Dissimilarity beyond which frames belong to different scenes.

In 29 clips neighbours within a scene reach 0.13 (a car that leaves the shade), with camera pans of
30 pixels a frame; of pairs of unrelated frames one in a hundred lies below 0.3.
"""

_ROWS, _COLUMNS = 36, 64
_BINS = 32
_REACH = 3  # frames looked at on each side of a cut
_PROMINENCE = 1.5  # how much more than around it the picture must change at a cut


@dataclass(frozen=True)
class _Glance:
    """A frame at a glance: means of blocks and a histogram of luma."""

    means: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float64]


class SceneCuts:
    """Detector of scene cuts in a video that comes frame by frame.

    Frame t begins a scene if none of t, t+1, t+2 resembles any of t-3, t-2, t-1, and if it differs
    from the one before it clearly more than most of these do from theirs. So flashes of one or two
    frames are no cuts, and neither are fades and fast motion. The first frame begins none.

    Args:
        threshold: frames resemble each other if their :func:`dissimilarity` is at most that.
    """

    def __init__(self, threshold: float = CUT_THRESHOLD) -> None:
        self._threshold = threshold
        self._glances: deque[_Glance] = deque(maxlen=2 * _REACH)

    def push(self, luma: npt.NDArray[np.uint8] | None) -> bool | None:
        """Takes the next frame.

        Args:
            luma: (H, W) uint8, always of one size; None for the frame before once more.

        Returns:
            Whether the frame two before this one begins a scene; None if there is no such frame.
        """
        self._glances.append(self._glances[-1] if luma is None else _glance(luma))
        return self._begins_scene(_REACH) if len(self._glances) >= _REACH else None

    def flush(self) -> list[bool]:
        """Whether the last two frames, or the only one, begin scenes; for the end of the video."""
        left = min(_REACH - 1, len(self._glances))
        return [self._begins_scene(later) for later in range(left, 0, -1)]

    def _begins_scene(self, later: int) -> bool:
        """Whether the frame does that comes ``later`` from the end of those known."""
        return _begins_scene(self._glances, len(self._glances) - later, self._threshold)


def scene_cuts(
    frames: Iterable[npt.NDArray[np.uint8]], threshold: float = CUT_THRESHOLD
) -> Iterator[int]:
    """Yields the numbers of the frames that begin a new scene, as :class:`SceneCuts` finds them.

    A number is yielded once two more frames are known.

    Args:
        frames: luma, (H, W) uint8, of one size.
        threshold: of :class:`SceneCuts`.
    """
    cuts = SceneCuts(threshold)
    number = 0
    for frame in frames:
        begins = cuts.push(frame)
        if begins:
            yield number
        number += begins is not None
    for later, begins in enumerate(cuts.flush()):
        if begins:
            yield number + later


def dissimilarity(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
    """How unlike two frames are, 0 to 2: √(d·h).

    d is the mean absolute difference of the means of 64×36 blocks, in units of 64 steps; h is the
    share of pixels by which the histograms of 32 bins differ. Pans change d alone, and so few
    clips change both from one frame to the next.

    Args:
        first: luma, (H, W) uint8.
        second: luma of the same size.
    """
    return _compare(_glance(first), _glance(second))


def _begins_scene(glances: deque[_Glance], place: int, threshold: float) -> bool:
    """Whether the frame at ``place`` does, given up to three before it and those after it."""
    known = list(glances)
    before = known[max(place - _REACH, 0) : place][::-1]
    after = known[place : place + _REACH]
    if not before or any(_compare(a, b) <= threshold for a in before for b in after):
        return False
    around = sorted(_compare(*pair) for side in (before, after) for pair in pairwise(side))
    # The largest of them may be another cut.
    usual = around[-2] if len(around) > 1 else 0.0
    return _compare(before[0], after[0]) > _PROMINENCE * usual


def _compare(first: _Glance, second: _Glance) -> float:
    difference = float(np.abs(first.means - second.means).mean()) / 64
    shares = float(np.abs(first.shares - second.shares).sum()) / 2
    return math.sqrt(difference * shares)


def _glance(luma: npt.NDArray[np.uint8]) -> _Glance:
    rows, columns = (
        np.linspace(0, side, min(side, blocks), endpoint=False, dtype=np.intp)
        for side, blocks in zip(luma.shape, (_ROWS, _COLUMNS), strict=True)
    )
    sums = np.add.reduceat(np.add.reduceat(luma, rows, 0, np.uint32), columns, 1)
    heights, widths = np.diff(rows, append=luma.shape[0]), np.diff(columns, append=luma.shape[1])
    histogram = np.bincount((luma >> 3).ravel(), minlength=_BINS)
    return _Glance((sums / np.outer(heights, widths)).astype(np.float32), histogram / luma.size)
