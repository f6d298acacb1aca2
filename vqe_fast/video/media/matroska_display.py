"""How pictures are displayed, in Matroska: pixel aspect ratio and cropping in a finished file.

FFmpeg writes both from fields of the stream that PyAV does not set, and many codecs have neither in
a header of their own. Matroska (RFC 9559) keeps the ratio as the size at which a picture is shown,
and what is cropped, in the element Video of its track. The bytes for that are taken from the void
that FFmpeg leaves behind the index at the beginning (SeekHead): all in between moves forward.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vqe_fast.video.media.ebml import Element, elements

_SEGMENT, _SEEK_HEAD, _TRACKS, _CLUSTER = 0x18538067, 0x114D9B74, 0x1654AE6B, 0x1F43B675
_SEEK, _SEEK_POSITION, _CRC32, _VOID = 0x4DBB, 0x53AC, 0xBF, 0xEC
_TRACK_ENTRY, _VIDEO, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0xAE, 0xE0, 0xB0, 0xBA
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_CROPS = (0x54CC, 0x54DD, 0x54BB, 0x54AA)  # PixelCropLeft, Right, Top and Bottom
_PIXELS, _RATIO = 0, 3  # units of display sizes
_BEGINNING = 1 << 20  # bytes: tracks are described in fewer
_VOID_HEADER = 9  # bytes, with a size of eight


@dataclass(frozen=True)
class Display:
    """How pictures of a track are displayed.

    Attributes:
        aspect: width of a pixel over its height.
        cropping: samples to hide at the left, right, top and bottom.
    """

    aspect: Fraction = Fraction(1)
    cropping: tuple[int, int, int, int] = (0, 0, 0, 0)


def write_displays(path: Path, displays: Mapping[int, Display]) -> None:
    """Writes how pictures are displayed into a Matroska or WebM file that FFmpeg has written.

    Args:
        path: the complete file.
        displays: of tracks of video, by their position in the file.

    Raises:
        ValueError: the file is not laid out as FFmpeg does.
        OSError: it cannot be read or written.
    """
    with path.open("r+b") as file:
        data = file.read(_BEGINNING)
        begin, changed = _with_displays(data, displays)
        file.seek(begin)
        file.write(changed)


def _with_displays(data: bytes, displays: Mapping[int, Display]) -> tuple[int, bytes]:
    """Where the file changes, and what is there instead: as many bytes."""
    segment = next(each for each in elements(data, 0, len(data)) if each.id == _SEGMENT)
    found: dict[int, Element] = {}
    for each in elements(data, segment.content, len(data)):
        found.setdefault(each.id, each)
        if each.id in (_TRACKS, _CLUSTER):
            break
    if not {_SEEK_HEAD, _VOID, _TRACKS} <= found.keys():
        raise ValueError("no space for display sizes was left in the file")
    index, void, tracks = found[_SEEK_HEAD], found[_VOID], found[_TRACKS]
    new_tracks = _tracks_with(data, tracks, displays)
    more = len(new_tracks) - (tracks.end - tracks.start)
    space = void.end - void.start - more
    if index.end != void.start or space < _VOID_HEADER:
        raise ValueError("the space left in the file does not suffice for display sizes")
    moved = (void.end - segment.content, tracks.start - segment.content)
    return index.start, (
        _index_with(data, index, moved, more)
        + _element(_VOID, bytes(space - _VOID_HEADER), size_bytes=8)
        + data[void.end : tracks.start]
        + new_tracks
    )


def _tracks_with(data: bytes, tracks: Element, displays: Mapping[int, Display]) -> bytes:
    entries = [each for each in elements(data, tracks.content, tracks.end) if each.id != _CRC32]
    if any(each.id != _TRACK_ENTRY for each in entries):
        raise ValueError("there is more than tracks in their description")
    content = b"".join(
        _entry_with(data, each, displays[place])
        if place in displays
        else data[each.start : each.end]
        for place, each in enumerate(entries)
    )
    if _has_check(data, tracks):
        content = _element(_CRC32, _check(content)) + content
    return _element(_TRACKS, content)


def _entry_with(data: bytes, entry: Element, display: Display) -> bytes:
    return _element(
        _TRACK_ENTRY,
        b"".join(
            _video_with(data, each, display) if each.id == _VIDEO else data[each.start : each.end]
            for each in elements(data, entry.content, entry.end)
        ),
    )


def _video_with(data: bytes, video: Element, display: Display) -> bytes:
    parts = list(elements(data, video.content, video.end))
    size = {each.id: int.from_bytes(data[each.content : each.end], "big") for each in parts}
    left, right, top, bottom = display.cropping
    height = size[_PIXEL_HEIGHT] - top - bottom
    width = (size[_PIXEL_WIDTH] - left - right) * display.aspect
    if width.denominator == 1:
        shown = {_DISPLAY_WIDTH: int(width), _DISPLAY_HEIGHT: height, _DISPLAY_UNIT: _PIXELS}
    else:  # whole pixels would be another ratio
        across, down = (width / height).as_integer_ratio()
        shown = {_DISPLAY_WIDTH: across, _DISPLAY_HEIGHT: down, _DISPLAY_UNIT: _RATIO}
    if any(display.cropping):
        shown |= dict(zip(_CROPS, display.cropping, strict=True))
    kept = b"".join(data[each.start : each.end] for each in parts if each.id not in shown)
    return _element(_VIDEO, kept + b"".join(_number(*each) for each in shown.items()))


def _index_with(data: bytes, index: Element, moved: tuple[int, int], more: int) -> bytes:
    """The index, positions in the range ``moved`` made smaller; as many bytes as before."""
    content = bytearray(data[index.content : index.end])
    for seek in elements(data, index.content, index.end):
        if seek.id != _SEEK:
            continue
        for each in elements(data, seek.content, seek.end):
            position = int.from_bytes(data[each.content : each.end], "big")
            if each.id == _SEEK_POSITION and moved[0] <= position <= moved[1]:
                new = (position - more).to_bytes(each.end - each.content, "big")
                content[each.content - index.content : each.end - index.content] = new
    if _has_check(data, index):
        content[2:6] = _check(content[6:])
    return data[index.start : index.content] + content


def _has_check(data: bytes, element: Element) -> bool:
    return data[element.content] == _CRC32


def _check(content: bytes | bytearray) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


def _number(kind: int, value: int) -> bytes:
    return _element(kind, value.to_bytes(max(1, -(-value.bit_length() // 8)), "big"))


def _element(kind: int, content: bytes, size_bytes: int | None = None) -> bytes:
    length = size_bytes or len(content).bit_length() // 7 + 1
    size = (len(content) | 1 << 7 * length).to_bytes(length, "big")
    return kind.to_bytes(-(-kind.bit_length() // 8), "big") + size + content
