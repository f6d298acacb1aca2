"""Options of muxers: same bytes for same packets, colour tags, times that are not rounded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from av.audio.codeccontext import AudioCodecContext
from av.stream import Stream

from vqe_fast.video.media.containers import FORMATS
from vqe_fast.video.media.stream_info import VideoFacts, time_base_of
from vqe_fast.video.media.subtitles import Transfer

if TYPE_CHECKING:
    from av.container.core import Chapter

_MILLISECONDS, _MOST_TICKS = 1000, (1 << 31) - 1
"""Ticks per second of chapters; the most in a second, or in a chapter, that MP4 has."""


def muxer_options(
    format_name: str,
    facts: VideoFacts,
    copies: Iterable[Transfer],
    chapters: Iterable[Chapter] = (),
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
        chapters: those to write.
    """
    if format_name in (FORMATS[".mkv"], FORMATS[".webm"]):
        return {"fflags": "+bitexact"}
    clocks = [facts.time_base.denominator, *(_clock(copy.stream) for copy in copies)]
    fastest = _MOST_TICKS // max(1, math.ceil(_longest(chapters)))
    clock = {"movie_timescale": str(_common_clock(clocks, fastest))}
    return clock | ({"movflags": "+write_colr"} if facts.color.is_told else {})


def _clock(stream: Stream) -> int:
    """Ticks per second in which MP4 has the times of ``stream``."""
    context = stream.codec_context
    if isinstance(context, AudioCodecContext):
        return context.sample_rate
    return time_base_of(stream).denominator


def _longest(chapters: Iterable[Chapter]) -> Fraction:
    """Seconds between the beginnings and ends of chapters, at most."""
    times = {Fraction(0)}
    for each in chapters:
        base = each["time_base"] or Fraction(1, _MILLISECONDS)
        times |= {each["start"] * base, each["end"] * base}
    return max((after - before for before, after in pairwise(sorted(times))), default=Fraction(0))


def _common_clock(clocks: Iterable[int], fastest: int) -> int:
    """The least common multiple of ``clocks``; of those that do not fit, the last are left out."""
    common = _MILLISECONDS
    for clock in clocks:
        both = math.lcm(common, clock)
        common = both if both <= fastest else common
    return common
