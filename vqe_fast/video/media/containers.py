"""Output containers: muxers by file suffix, and the streams to remux."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from av.stream import Discard, Stream

from vqe_fast.storage.location import Location
from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.media.open import first_packets, is_picture
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.remux import HAVE_EDIT_LISTS
from vqe_fast.video.media.stream_copy import codec_name, find_copy
from vqe_fast.video.media.subtitles import SubtitleConversion, Transfer, find_conversion

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""File suffix → FFmpeg's name of the muxer."""


def format_of(target: Location) -> str:
    """FFmpeg's name of the muxer for the suffix of ``target``.

    Raises:
        VideoError: another suffix than those of :data:`FORMATS`.
    """
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise VideoError(
            f"{target} does not say which container to write: "
            f"end its name in one of {', '.join(FORMATS)}"
        )
    return FORMATS[suffix]


def streams_to_copy(
    source: VideoReader, target: Location, holds_video: Callable[[str], bool]
) -> list[Transfer]:
    """The streams of ``source`` to write beside the video, and how.

    Text subtitles are converted where the container does not take theirs. Data that no container on
    offer keeps readable, such as Apple's timed metadata, is left out.

    Args:
        source: the file to read.
        target: the file to write.
        holds_video: whether a container, by its suffix, takes the video.

    Raises:
        VideoError: the container of ``target`` cannot carry one of them.
    """
    format_of(target)
    streams = _other_streams(source)
    packets = first_packets(source.path, [stream.index for stream in streams])

    @cache
    def find(suffix: str, place: int) -> Transfer | None:
        stream, name = streams[place], FORMATS[suffix]
        if stream.type == "video" and name not in HAVE_EDIT_LISTS and source.begins_hidden(stream):
            return None  # its first pictures are for the decoder only, which it cannot say
        copy = find_copy(name, stream, source.picture(stream), packets[stream.index])
        return copy or find_conversion(name, stream)

    def is_lost_everywhere(place: int) -> bool:
        return streams[place].type == "data" and not any(find(each, place) for each in FORMATS)

    here, places = target.suffix.lower(), range(len(streams))
    wanted = [place for place in places if find(here, place) or not is_lost_everywhere(place)]
    for place in wanted:
        if find(here, place) is None:
            able = [s for s in FORMATS if all(find(s, each) for each in wanted)]
            raise SourceError(
                f"{target.suffix} cannot carry {describe_stream(streams[place])} of {source.path}; "
                + _way_out(able, holds_video)
            )
    return [found for place in wanted if (found := find(here, place))]


def streams_not_kept(source: VideoReader, transfers: Iterable[Transfer]) -> list[str]:
    """The streams of ``source`` that are written neither as they were nor anew, in words."""
    written = {each.stream.index: each for each in transfers}
    lost = []
    for stream in _other_streams(source):
        found = written.get(stream.index)
        if found is None:
            lost.append(describe_stream(stream))
        elif isinstance(found, SubtitleConversion):
            lost.append(f"the form of {describe_stream(stream)}, which is {found.codec} now")
    return lost


def describe_stream(stream: Stream) -> str:
    """A stream in words, such as ``stream 2 (data, mebx)``."""
    kind = "picture" if is_picture(stream) else stream.type
    return f"stream {stream.index} ({kind}, {codec_name(stream) or 'unknown codec'})"


def _other_streams(source: VideoReader) -> list[Stream]:
    """All streams but the video, and those that muxers write themselves."""
    return [
        stream
        for stream in source.container.streams
        if stream.index != source.video_stream.index and not _is_rebuilt(stream)
    ]


def _is_rebuilt(stream: Stream) -> bool:
    """Whether ``stream`` holds what muxers write themselves: chapter titles, or the timecode.

    Demuxers discard the one, since it is among the chapters; the other is a tag of the video.
    """
    is_timecode = stream.type == "data" and "timecode" in stream.metadata
    return stream.discard is Discard.all or is_timecode


def _way_out(suffixes: Sequence[str], holds_video: Callable[[str], bool]) -> str:
    both = [suffix for suffix in suffixes if holds_video(suffix)]
    if both:
        return f"write to {' or '.join(both)} instead"
    if suffixes:
        return f"remove that stream first, or write to {' or '.join(suffixes)} with another codec"
    return "no container on offer can carry all streams: remove that stream first"
