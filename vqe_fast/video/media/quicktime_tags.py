"""Metadata of QuickTime under any key (handler ``mdta``), written into a finished file.

FFmpeg's muxer writes tags either in the form that players know, which has a list of names, or in
this one, where players do not look for a title: never both.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

_UTF8, _FLOAT = 1, 23  # types of values
_FLOATS = {"com.android.capture.fps"}
"""Keys whose readers expect a number, which FFmpeg's demuxer gives in digits."""


def append_tags(path: Path, tags: Mapping[str, str], *, is_quicktime: bool) -> None:
    """Appends tags to the movie header of a file that FFmpeg has written, where it comes last.

    Args:
        path: the complete file.
        tags: key → value.
        is_quicktime: whether it is a QuickTime file, whose box of metadata has no version.

    Raises:
        ValueError: the movie header does not come last.
        OSError: the file cannot be read or written.
    """
    handler = _box(b"hdlr", struct.pack(">II4s13x", 0, 0, b"mdta"))
    names = b"".join(_box(b"mdta", _encoded(key)) for key in tags)
    keys = _box(b"keys", struct.pack(">II", 0, len(tags)) + names)
    values = b"".join(
        _box(struct.pack(">I", place), _box(b"data", _value(*tag)))
        for place, tag in enumerate(tags.items(), 1)
    )
    version = b"" if is_quicktime else bytes(4)
    more = _box(b"meta", version + handler + keys + _box(b"ilst", values))
    with path.open("r+b") as file:
        start, size = _movie_header(file)
        file.write(more)
        file.seek(start)
        file.write(struct.pack(">I", size + len(more)))


def _movie_header(file: BinaryIO) -> tuple[int, int]:
    """Where it begins and how large it is; the file is left at its end."""
    *_, (start, size, kind) = _boxes(file)
    if kind != b"moov" or start + size != file.seek(0, os.SEEK_END):
        raise ValueError("its movie header does not come last")
    return start, size


def _boxes(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Start, size and type of the boxes of the file, one after the other."""
    start = 0
    while len(header := file.read(16)) >= 8:
        size, kind = struct.unpack(">I4s", header[:8])
        if size == 1:
            (size,) = struct.unpack(">Q", header[8:])
        if size < 8:
            raise ValueError("it ends in a box without a size")
        yield start, size, kind
        start += size
        file.seek(start)


def _value(key: str, text: str) -> bytes:
    if key in _FLOATS:
        return struct.pack(">IIf", _FLOAT, 0, float(text))
    return struct.pack(">II", _UTF8, 0) + _encoded(text)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
