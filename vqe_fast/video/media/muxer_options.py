"""Options of muxers: same bytes for same packets, colour tags, times that are not rounded."""

from __future__ import annotations

import math
from collections.abc import Iterable

from av.audio.codeccontext import AudioCodecContext
from av.stream import Stream

from vqe_fast.video.media.containers import FORMATS
from vqe_fast.video.media.stream_copy import StreamCopy
from vqe_fast.video.media.stream_info import VideoFacts, time_base_of

_MILLISECONDS, _FASTEST_CLOCK = 1000, (1 << 31) - 1
"""Ticks per second of chapters, and the most that MP4 has."""


def muxer_options(
    format_name: str, facts: VideoFacts, copies: Iterable[StreamCopy]
) -> dict[str, str]:
    """Options of a muxer for the enhanced video and streams beside it.

    The same packets give the same bytes: Matroska's draws the identities of file, tracks and
    chapters at random else; the others write nothing that is not of their input. That of .mp4 and
    .mov leaves out colour tags unless all of them are known, or it is told not to, and has the
    beginnings of streams in milliseconds unless it gets a clock that suits them all.

    Args:
        format_name: FFmpeg's name of the muxer.
        facts: of the video.
        copies: the other streams.
    """
    if format_name in (FORMATS[".mkv"], FORMATS[".webm"]):
        return {"fflags": "+bitexact"}
    clocks = [facts.time_base.denominator, *(_clock(copy.stream) for copy in copies)]
    clock = {"movie_timescale": str(_common_clock(clocks))}
    return clock | ({"movflags": "+write_colr"} if facts.color.is_told else {})


def _clock(stream: Stream) -> int:
    """Ticks per second in which MP4 has the times of ``stream``."""
    context = stream.codec_context
    if isinstance(context, AudioCodecContext):
        return context.sample_rate
    return time_base_of(stream).denominator


def _common_clock(clocks: Iterable[int]) -> int:
    """The least common multiple of ``clocks``; of those that do not fit, the last are left out."""
    common = _MILLISECONDS
    for clock in clocks:
        both = math.lcm(common, clock)
        common = both if both <= _FASTEST_CLOCK else common
    return common
