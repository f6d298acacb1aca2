"""What Matroska says and FFmpeg does not read: languages by region, editions, linked files."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator

from vqe_fast.storage.location import Location, RemotePath
from vqe_fast.storage.reader import RemoteBytes
from vqe_fast.video.media.ebml import Bytes, Element, elements

_SEGMENT, _INFO, _TRACKS, _CHAPTERS = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1043A770
_TRACK_ENTRY, _TRACK_NUMBER, _LANGUAGE_BCP47 = 0xAE, 0xD7, 0x22B59D
_EDITION, _ORDERED, _ATOM, _DISPLAY = 0x45B9, 0x45DD, 0xB6, 0x80
_PREVIOUS_FILE, _NEXT_FILE, _CHAPTER_FILE = 0x3CB923, 0x3EB923, 0x6E67


def unread_features(path: Location) -> tuple[str, ...]:
    """What of a Matroska file is lost when FFmpeg copies it, in words.

    Raises:
        OSError: the file cannot be read.
        StorageError: it is remote, and cannot be read.
    """
    if isinstance(path, RemotePath):
        with path.open() as remote:
            return _found_in(RemoteBytes(remote))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _found_in(data)


def _found_in(data: Bytes) -> tuple[str, ...]:
    return tuple(
        found
        for segment in elements(data, 0, len(data))
        if segment.id == _SEGMENT
        for part in elements(data, segment.content, segment.end)
        for found in _lost_of(data, part)
    )


def _lost_of(data: Bytes, part: Element) -> Iterator[str]:
    if part.id == _TRACKS:
        for track in _children(data, part, _TRACK_ENTRY):
            yield from _language(data, track)
    elif part.id == _CHAPTERS:
        yield from _chapters(data, part)
    elif part.id == _INFO and (
        _children(data, part, _PREVIOUS_FILE) or _children(data, part, _NEXT_FILE)
    ):
        yield "the link to the file before or after it"


def _language(data: Bytes, track: Element) -> Iterator[str]:
    """A language that has more than a name, as the region in ``pt-BR``."""
    for each in _children(data, track, _LANGUAGE_BCP47):
        language = bytes(data[each.content : each.end]).rstrip(b"\0").decode("ascii", "replace")
        if "-" in language:
            number = "".join(
                str(_number(data, found)) for found in _children(data, track, _TRACK_NUMBER)
            )
            yield f"the language {language} of track {number}, but for its first part"


def _chapters(data: Bytes, chapters: Element) -> Iterator[str]:
    editions = _children(data, chapters, _EDITION)
    if len(editions) > 1:
        yield f"{len(editions)} editions of chapters apart, which are one list now"
    seen: Counter[str] = Counter()
    for edition in editions:
        ordered = _children(data, edition, _ORDERED)
        seen["the order of chapters that is not that of the file"] += any(
            _number(data, each) for each in ordered
        )
        for atom in _children(data, edition, _ATOM):
            seen["chapters in chapters"] += bool(_children(data, atom, _ATOM))
            seen["chapters that are in other files"] += bool(_children(data, atom, _CHAPTER_FILE))
            seen["all names of chapters but one"] += len(_children(data, atom, _DISPLAY)) > 1
    yield from (words for words, count in seen.items() if count)


def _children(data: Bytes, parent: Element, kind: int) -> list[Element]:
    return [each for each in elements(data, parent.content, parent.end) if each.id == kind]


def _number(data: Bytes, element: Element) -> int:
    return int.from_bytes(data[element.content : element.end], "big")
