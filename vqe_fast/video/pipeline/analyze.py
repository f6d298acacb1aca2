"""Frame analysis before the model: duplicates and scene cuts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from vqe_fast.video.frames.duplicates import Repeats
from vqe_fast.video.frames.planes import depth_of, luma_view
from vqe_fast.video.frames.scene_cuts import SceneCuts
from vqe_fast.video.pipeline.bundle import FrameBundle


class FrameAnalyzer:
    """Marks duplicates and scene cuts in bundles.

    Args:
        planes: how many planes the model sees.
        temporal: whether it sees several frames together, and so scene cuts matter.

    Attributes:
        scene_cuts: how many there were so far among frames to be written; None if they are not
            looked for.
        repeats: how many of these frames repeated the one before.
    """

    def __init__(self, *, planes: int, temporal: bool) -> None:
        self.scene_cuts = 0 if temporal else None
        self.repeats = 0
        self._repeats = Repeats(planes)

    def __call__(self, bundles: Iterable[FrameBundle]) -> Iterator[FrameBundle]:
        """Yields the bundles in order, one frame later than they come.

        A frame may be changed once it is given back, and the next one is compared with it. Where
        scene cuts matter, it is two frames.
        """
        cuts = SceneCuts() if self.scene_cuts is not None else None
        waiting: deque[FrameBundle] = deque()
        answers: deque[bool] = deque()
        last: FrameBundle | None = None
        for bundle in bundles:
            waiting.append(bundle)
            if bundle.frame is None:
                if last is not None:  # packets do not wait for a frame: there may be many of them
                    self._repeats.keep()
                last = None
            else:
                last = bundle
                bundle.repeats = self._repeats(bundle.frame)
                self.repeats += bundle.repeats and bundle.is_kept
                if cuts is None:
                    answers.append(False)
                else:
                    begins = cuts.push(None if bundle.repeats else _eight_bits(bundle.frame))
                    answers.extend(() if begins is None else (begins,))
            yield from self._settled(waiting, answers, last)
        answers.extend(cuts.flush() if cuts is not None else ())
        yield from self._settled(waiting, answers, None)

    def _settled(
        self, waiting: deque[FrameBundle], answers: deque[bool], last: FrameBundle | None
    ) -> Iterator[FrameBundle]:
        """Those of ``waiting`` that are known and before ``last``."""
        while waiting and waiting[0] is not last and (waiting[0].frame is None or answers):
            bundle = waiting.popleft()
            if bundle.frame is not None and answers.popleft():
                bundle.begins_scene = True
                self.scene_cuts = (self.scene_cuts or 0) + bundle.is_kept
            yield bundle


def _eight_bits(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    luma: npt.NDArray[Any] = luma_view(frame)
    extra = depth_of(frame) - 8
    return (luma >> extra).astype(np.uint8) if extra else luma
