"""Splitting of a video into segments, at timestamps, without decoding."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from vqe_fast.storage.location import Location
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.media.open import open_video, pick_stream, read_packets
from vqe_fast.video.media.payload import leave_out_payload, opened_for_payload
from vqe_fast.video.media.stream_info import time_base_of
from vqe_fast.video.media.timeline import timeline_of

DEFAULT_SECONDS = 30.0
"""Length of a segment where the user does not say."""

_FEWEST_FRAMES = 16
"""Encoders reorder fewer, and a keyframe more often would cost too much."""

_REMEMBERED = 64  # timestamps: as far as frames are reordered


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of frames in display order, by timestamps.

    Attributes:
        start: timestamp of the first frame, in ticks; None for the beginning of the video.
        end: that of the first frame after it; None for the end of the video.
        frames: how many there should be.
    """

    start: int | None
    end: int | None
    frames: int


def plan_segments(source: Location, seconds: float, pictures: int = 1) -> list[Segment]:
    """Cuts the video into segments of about ``seconds``, by its packets' timestamps.

    The file is read once, and nothing decoded; of a remote one no more is fetched than need be.
    Segments with few frames join their neighbours.

    Args:
        source: the file.
        seconds: how long segments should be.
        pictures: packets of which a frame is made.

    Raises:
        VideoError: frames cannot be told apart by their timestamps, or ``seconds`` is not above 0.
    """
    if not 0 < seconds < math.inf:
        raise VideoError(f"segments must last longer than 0 seconds, got {seconds}")
    starts: dict[int, int] = {}
    counts: dict[int, int] = {}
    file = opened_for_payload(source)
    with open_video(file) as container:
        leave_out_payload(file, container, container.streams)
        stream = pick_stream(container, source)
        ticks = seconds / time_base_of(stream)
        origin: int | None = None
        last: int | None = None
        recent: deque[int] = deque(maxlen=_REMEMBERED)
        timeline = timeline_of(container)
        for packet in read_packets(container, file, stream, timeline=timeline):
            if timeline.restarts:
                raise _uncuttable(source, "its timestamps restart")
            if packet.size == 0:
                continue
            pts, dts = packet.pts, packet.dts
            if pts is None:
                raise _uncuttable(source, "a frame has no timestamp")
            if pts in recent or (dts is not None and last is not None and dts < last):
                raise _uncuttable(source, "timestamps repeat or run backwards")
            recent.append(pts)
            last = last if dts is None else dts
            if packet.is_discard:
                continue
            origin = pts if origin is None else origin
            number = math.floor((pts - origin) / ticks)
            starts[number] = min(pts, starts.get(number, pts))
            counts[number] = counts.get(number, 0) + 1
    return _segments(
        [(starts[number], -(-counts[number] // pictures)) for number in sorted(starts)]
    )


def _uncuttable(source: Location, why: str) -> SourceError:
    return SourceError(
        f"{source} cannot be cut into segments: {why}; enhance it in one pass, "
        "without segments, workers and resume"
    )


def _segments(runs: Iterable[tuple[int, int]]) -> list[Segment]:
    """From start and number of frames of each run."""
    merged: list[tuple[int, int]] = []
    for start, frames in runs:
        if merged and merged[-1][1] < _FEWEST_FRAMES:
            start, frames = merged[-1][0], merged.pop()[1] + frames
        merged.append((start, frames))
    if len(merged) > 1 and merged[-1][1] < _FEWEST_FRAMES:
        frames = merged.pop()[1]
        merged[-1] = merged[-1][0], merged[-1][1] + frames
    starts = [None, *(start for start, _ in merged[1:]), None]
    counts = [frames for _, frames in merged] or [0]
    return [
        Segment(starts[number], starts[number + 1] if number + 1 < len(counts) else None, frames)
        for number, frames in enumerate(counts)
    ]
