"""Reader of a segment's frames, with those around it that its results depend on."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Self

from av.video.frame import VideoFrame

from vqe_fast.video.frames.planes import luma_view
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.bundle import FrameBundle, in_bundles
from vqe_fast.video.pipeline.enhancer import STILL, Enhancer
from vqe_fast.video.qp.provider import QPProvider
from vqe_fast.video.segments.split import Segment
from vqe_fast.video.session import EnhanceSession

Seam = tuple[int, int]
"""Timestamp of a frame, and checksum of its luma as decoded."""

_FIRST_STEP = Fraction(1, 2)
"""Seconds to go back further if decoding has not begun early enough; then twice as many."""

_SCENE_HISTORY = 3  # frames before one that tell whether it begins a scene


class SegmentReader:
    """Decoder of a segment with the neighbours that make its results those of one pass.

    Decoding begins at a keyframe so far before the segment that the frames which the model sees
    beside the first one, and the one that this repeats, come too; it ends as far behind the last.
    Repeats do not count as neighbours, and none are needed beyond a scene cut or a still. What lies
    outside the segment comes as bundles that are not kept.

    Args:
        open_source: opens the video at its beginning.
        segment: what to decode.
        planes: how many planes the model sees.
        reach: frames on each side that a result depends on.
        on_start: called with the timestamp that decoding was begun for, None for the beginning of
            the video, before the first bundle comes.

    Attributes:
        first: the first frame of the segment; None if nothing of it decodes.
        following: the first one after it; None at the end of the video.
        duplicated: frames of the segment that repeat the one before.
        scene_cuts: how many lie in the segment; None if they do not matter.
        damaged_packets: packets of the segment that do not decode.
        damaged_frames: frames of the segment that decode with errors.
        scaled_frames: frames of the segment that were scaled to the size and format of the first.
        extras: what frames carry that an encoder may lose, in words.
    """

    def __init__(
        self,
        open_source: Callable[[], VideoReader],
        segment: Segment,
        *,
        planes: int,
        reach: int,
        on_start: Callable[[int | None], None],
    ) -> None:
        self.first: Seam | None = None
        self.following: Seam | None = None
        self.duplicated = 0
        self.scene_cuts: int | None = None
        self.damaged_packets = 0
        self.damaged_frames = 0
        self.scaled_frames = 0
        self.extras: set[str] = set()
        self._open = open_source
        self._segment = segment
        self._planes = planes
        self._reach = reach
        self._on_start = on_start

    @classmethod
    def of(
        cls, session: EnhanceSession, enhancer: Enhancer, segment: Segment, qps: QPProvider | None
    ) -> Self:
        """The reader of a segment of ``session``'s source, for its enhancer.

        Args:
            session: the enhancement.
            enhancer: of ``session``.
            segment: what to decode.
            qps: begins where decoding does; None for a model that takes none.
        """
        return cls(
            session.open,
            segment,
            planes=enhancer.view.planes,
            reach=enhancer.reach,
            on_start=lambda ticks: None if qps is None else qps.start_at(ticks),
        )

    def __iter__(self) -> Iterator[FrameBundle]:
        """Yields the bundles; to be called once."""
        at = self._segment.start
        back = _FIRST_STEP
        while True:
            with self._open() as video:
                beginning = video.first_frame.pts or 0
                video.count_within(self._segment.start, self._segment.end)
                if at is not None and not video.seek(at):
                    at = None
                    continue
                analyzer = FrameAnalyzer(planes=self._planes, temporal=self._reach > 0)
                bundles = analyzer(self._marked(in_bundles(_frames(video))))
                lead = LeadIn(self._reach, from_beginning=at is None)
                first = lead.run_up(bundles, lambda bundle: self._place(bundle) < 0)
                if at is None or self._suffices(lead, first, video.entry):
                    self._on_start(at)
                    if first is not None and first.is_kept:
                        yield from lead.needed(first)
                        yield first
                        yield from self._rest(bundles, lead.repeated + 1 if first.repeats else 0)
                    self.duplicated, self.scene_cuts = analyzer.repeats, analyzer.scene_cuts
                    self.damaged_packets = video.damaged_packets
                    self.damaged_frames = video.damaged_frames
                    self.scaled_frames = video.scaled_frames
                    self.extras = video.extras
                    return
                # Some formats have no index of keyframes: one sought may turn out to come later.
                at = min(at if video.entry is None else video.entry, at)
                at -= max(round(back / video.facts.time_base), 1)
                back *= 2
                if at <= beginning:
                    at = None

    def _suffices(self, lead: LeadIn, first: FrameBundle | None, entry: int | None) -> bool:
        """Whether decoding began early enough."""
        if first is not None:
            return lead.suffices(first)
        start = self._segment.start
        return entry is not None and start is not None and entry < start

    def _marked(self, bundles: Iterable[FrameBundle]) -> Iterator[FrameBundle]:
        """Tells which are kept, and takes down the frames at both ends."""
        self.first = self.following = None
        for bundle in bundles:
            place = self._place(bundle)
            bundle.is_kept = place == 0
            if place == 0 and self.first is None:
                self.first = _seam(bundle)
            elif place > 0 and self.following is None:
                self.following = _seam(bundle)
            yield bundle

    def _rest(self, bundles: Iterable[FrameBundle], repeated: int) -> Iterator[FrameBundle]:
        """What comes after the first frame, as far as results depend on it."""
        needed = self._reach
        for bundle in bundles:
            if not bundle.is_kept and (needed == 0 or bundle.begins_scene or repeated >= STILL):
                return
            repeated = repeated + 1 if bundle.repeats else 0
            needed -= not (bundle.is_kept or bundle.repeats)
            yield bundle

    def _place(self, bundle: FrameBundle) -> int:
        """-1, 0 or 1: before, in or after the segment."""
        pts = _frame(bundle).pts or 0
        if self._segment.start is not None and pts < self._segment.start:
            return -1
        return int(self._segment.end is not None and pts >= self._segment.end)


class LeadIn:
    """Buffer of those frames before a segment that its results depend on.

    Args:
        reach: frames on each side that a result depends on.
        from_beginning: whether they are all that there are before the segment; otherwise the first
            ones are not relied on.

    Attributes:
        repeated: frames in a row, the last one among them, that repeat one before.
    """

    def __init__(self, reach: int, *, from_beginning: bool) -> None:
        self.repeated = 0
        self._reach = reach
        self._unsettled = 0 if from_beginning else _SCENE_HISTORY if reach else 1
        self._held: deque[FrameBundle] = deque()
        self._differing = 0
        self._is_whole = False

    def run_up(
        self, bundles: Iterable[FrameBundle], leads: Callable[[FrameBundle], bool]
    ) -> FrameBundle | None:
        """Takes the bundles for which ``leads`` holds; returns the first that is another."""
        for bundle in bundles:
            if not leads(bundle):
                return bundle
            if self._unsettled:
                self._unsettled -= 1
            else:
                self._add(bundle)
        return None

    def suffices(self, first: FrameBundle) -> bool:
        """Whether the buffer holds all that a segment with this first frame depends on."""
        if self._unsettled:
            return False
        if first.repeats:
            return self._differing > self._reach or (self._differing > 0 and self._is_whole)
        return self._is_cut(first) or self._differing >= self._reach or self._is_whole

    def needed(self, first: FrameBundle) -> Iterator[FrameBundle]:
        """The frames that have to come before ``first``."""
        if not first.repeats:
            if self._is_cut(first):
                return
            while self._differing > self._reach:
                self._drop()
        yield from self._held

    def _add(self, bundle: FrameBundle) -> None:
        if bundle.repeats:
            self.repeated += 1
            if self._held and self.repeated <= STILL:
                self._held.append(bundle)
            return
        if self._is_cut(bundle):
            self._held.clear()
            self._differing, self._is_whole = 0, True
        self.repeated = 0
        self._held.append(bundle)
        self._differing += 1
        if self._differing > self._reach + 1:
            self._drop()

    def _is_cut(self, bundle: FrameBundle) -> bool:
        """Whether ``bundle``, no duplicate of the frame before, has no neighbours before it."""
        return bundle.begins_scene or self.repeated >= STILL

    def _drop(self) -> None:
        """Drops the first frame and its repeats."""
        self._held.popleft()
        while self._held and self._held[0].repeats:
            self._held.popleft()
        self._differing -= 1
        self._is_whole = False


def _frames(video: VideoReader) -> Iterator[VideoFrame]:
    return (item for item in video.items() if isinstance(item, VideoFrame))


def _frame(bundle: FrameBundle) -> VideoFrame:
    assert bundle.frame is not None  # there are no packets of other streams between them
    return bundle.frame


def _seam(bundle: FrameBundle) -> Seam:
    frame = _frame(bundle)
    return frame.pts or 0, zlib.crc32(luma_view(frame).tobytes())
