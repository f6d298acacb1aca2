"""Elements of EBML (RFC 8794), which Matroska consists of."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from vqe_fast.storage.reader import RemoteBytes

Bytes: TypeAlias = bytes | mmap.mmap | RemoteBytes


@dataclass(frozen=True)
class Element:
    """An EBML element: where it begins, where its content does, and where that ends."""

    id: int
    start: int
    content: int
    end: int


def elements(data: Bytes, start: int, end: int) -> Iterator[Element]:
    """The elements one after the other; the last may go beyond ``data``, or is cut off there."""
    end = min(end, len(data))
    while start < end and data[start]:
        content = start + _length(data, start)
        if content >= end or not data[content]:
            return
        length = _length(data, content)
        kind = int.from_bytes(data[start:content], "big")
        size = int.from_bytes(data[content : content + length], "big") & ~(1 << 7 * length)
        content += length
        yield Element(kind, start, content, content + size)
        start = content + size


def _length(data: Bytes, place: int) -> int:
    """Bytes of the number of variable length at ``place``."""
    return 9 - data[place].bit_length()
