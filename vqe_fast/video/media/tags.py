"""Metadata tags: those of the content, and which of them a file lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer
from av.stream import Stream

from vqe_fast.video.media.enhanced_tag import ENHANCED_BY
from vqe_fast.video.media.open import is_picture, open_video
from vqe_fast.video.media.quicktime_tags import append_tags

if TYPE_CHECKING:
    from av.container.core import Chapter  # in PyAV's stubs only

ALPHA_MODE = "alpha_mode"
"""The tag by which Matroska says that packets hold transparency beside the picture."""

_QUICKTIME = {".mp4", ".mov"}

_ABOUT_THE_OLD_FILE = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "encoding_tool",
    "vendor_id",
    "duration",
}
_STATISTICS = ("bps", "duration", "number_of_bytes", "number_of_frames", "_statistics_")
"""How names begin that mkvmerge writes; a language may follow."""

_DEFAULTS = {"language": "und"}
"""What a tag that is not written means."""


def content_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata tags of the content; without those of the file it was in."""
    return {k: v for k, v in metadata.items() if not _is_about_the_file(k.lower())}


def stream_tags(stream: Stream) -> dict[str, str]:
    """Metadata tags of a stream's content; QuickTime's ``name`` of a track is its ``title``."""
    tags = content_tags(stream.metadata)
    if "name" in tags:
        tags.setdefault("title", tags.pop("name"))
    return tags


def complete_tags(
    path: Path, source: InputContainer, tracks: Sequence[Stream], *, with_chapters: bool
) -> list[str]:
    """Gives a finished file the tags that its muxer had no place for, as far as it has one.

    Args:
        path: the file.
        source: where tags and chapters come from.
        tracks: the streams of ``source`` that are its tracks, in their order.
        with_chapters: whether it has the chapters of ``source``.

    Returns:
        The tags that it lacks all the same, in words.

    Raises:
        VideoError: it cannot be read.
        ValueError: it is not laid out as FFmpeg does.
        OSError: it cannot be read or written.
    """
    with open_video(path) as written:
        lost = _missing(source.metadata, written.metadata)
        lost_elsewhere = list(_missing_from_streams(tracks, written))
        if with_chapters:
            lost_elsewhere += _missing_from_chapters(source.chapters(), written.chapters())
    if lost and path.suffix.lower() in _QUICKTIME:
        append_tags(path, lost, is_quicktime=path.suffix.lower() == ".mov")
        with open_video(path) as written:
            lost = _missing(lost, written.metadata)
    return [*(f"tag {name}" for name in lost), *lost_elsewhere]


def _missing(wanted: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """The tags of the content in ``wanted`` that are not among ``found``.

    Names may be written in capitals, times and numbers in another form.
    """
    there = {name.lower(): value for name, value in found.items()}
    return {
        name: value
        for name, value in content_tags(wanted).items()
        if name.upper() != ENHANCED_BY  # of an earlier enhancement, and replaced
        and name.lower() != ALPHA_MODE  # of packets, which may have been encoded anew
        and not _is_same(value, there.get(name.lower(), _DEFAULTS.get(name.lower(), "")))
    }


def _missing_from_streams(streams: Iterable[Stream], written: InputContainer) -> Iterator[str]:
    tracks = [s for s in written.streams if s.type != "attachment" and not is_picture(s)]
    pairs = zip((s for s in streams if not is_picture(s)), tracks, strict=False)
    made = {k: v for k, v in written.metadata.items() if k.lower() == "creation_time"}
    for stream, track in pairs:
        for name in _missing(stream_tags(stream), made | stream_tags(track)):
            yield f"tag {name} of stream {stream.index}"


def _missing_from_chapters(wanted: Iterable[Chapter], found: Iterable[Chapter]) -> list[str]:
    pairs = zip(wanted, found, strict=False)
    names = {name for old, new in pairs for name in _missing(old["metadata"], new["metadata"])}
    return [f"tag {name} of chapters" for name in sorted(names)]


def _is_about_the_file(name: str) -> bool:
    plain = name.partition("-")[0]
    return plain in _ABOUT_THE_OLD_FILE or plain.startswith(_STATISTICS)


def _is_same(value: str, other: str) -> bool:
    if value.strip() == other.strip():
        return True
    for read in (datetime.fromisoformat, float):
        with suppress(ValueError):  # neither times nor numbers
            return read(value) == read(other)
    return False
