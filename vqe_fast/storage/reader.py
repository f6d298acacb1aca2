"""``RemoteReader``: a file object that reads a remote file, with read-ahead and holes."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import overload

from vqe_fast.storage.block_cache import RemoteFile

_MOST_AHEAD = 4 << 20
_AHEAD_SHARE = 16
"""Of what was read in a row, so much more is fetched with it: little is fetched in vain where
reading ends soon, as that of a segment does."""
_NEAR = 1 << 20  # bytes: to jump no further is to read on
_PIECES, _PIECE_BYTES = 256, 4 << 20
_GAP_SHARE = 0.03
"""Bytes of holes that are fetched to have fewer pieces, as a share of the file."""


class RemoteReader(io.RawIOBase):
    """File object for the bytes of a remote file.

    What does not matter can be left out: it reads as zeros, and is not fetched.

    Attributes:
        name: the URL, without anything secret.
        most: bytes that :meth:`read` returns at once, for those who ask for more than they may
            need, as demuxers do; None for as many as asked for.
    """

    def __init__(self, file: RemoteFile, name: str) -> None:
        self.name = name
        self.most: int | None = None
        self._file = file
        self._position = self._row = 0
        self._last = 0
        self._starts: list[int] = []  # of what is to be fetched, once there are holes
        self._pieces: list[tuple[int, int]] = []
        self._fetched: dict[int, bytes] = {}  # number of a piece → its bytes

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Sets the position, and returns it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size}[whence]
        if base + offset < 0:
            raise OSError(22, os.strerror(22))
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, ``size`` of them if there are as many, but no more than ``most``.

        Raises:
            StorageError: they cannot be read.
        """
        rest = max(self._file.size - self._position, 0)
        size = rest if size is None or size < 0 else min(size, rest)
        size = size if self.most is None else min(size, self.most)
        if size == 0:
            return b""
        start, end = self._position, self._position + size
        self._position = end
        return self._dense(start, end) if not self._starts else self._sparse(start, end)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Reads into ``buffer``, and returns how many bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def leave_out(self, holes: Iterable[tuple[int, int]]) -> None:
        """Lets (start, end) of each hole read as zeros from now on.

        Short holes are fetched after all, where that spares many requests.

        Args:
            holes: in any order; they may overlap.
        """
        self._pieces = _filled(_between(holes, self._file.size), self._file.size)
        # The last one is for whatever is read behind all others.
        self._pieces.append((self._file.size, self._file.size))
        self._starts = [start for start, _ in self._pieces]
        self._fetched.clear()

    def verify(self) -> None:
        """Makes sure that the file has not changed while it was read.

        Raises:
            StorageError: it has.
        """
        self._file.verify()

    def _dense(self, start: int, end: int) -> bytes:
        self._row = self._row + (end - start) if abs(start - self._last) <= _NEAR else 0
        self._last = end
        return self._file.read(start, end, min(self._row // _AHEAD_SHARE, _MOST_AHEAD))

    def _sparse(self, start: int, end: int) -> bytes:
        data = bytearray(end - start)
        number = max(bisect_right(self._starts, start) - 1, 0)
        while self._pieces[number][0] < end:
            begin, stop = self._pieces[number]
            lower, upper = max(begin, start), min(stop, end)
            if lower < upper:
                piece = self._piece(number)
                data[lower - start : upper - start] = piece[lower - begin : upper - begin]
            number += 1
        return bytes(data)

    def _piece(self, number: int) -> bytes:
        """The bytes of a piece; the next ones are fetched with it."""
        if number not in self._fetched:
            last, total = number, 0
            while last - number < _PIECES and last < len(self._pieces) - 1:
                begin, stop = self._pieces[last]
                total += stop - begin
                if total > _PIECE_BYTES and last > number:
                    break
                last += 1
            data = self._file.read_pieces(self._pieces[number:last])
            kept = {each: self._fetched[each] for each in sorted(self._fetched)[-_PIECES:]}
            self._fetched = kept | dict(zip(range(number, last), data, strict=True))
        return self._fetched[number]


def _between(holes: Iterable[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """What of a file lies between holes."""
    pieces, at = [], 0
    for start, end in sorted(holes):
        if start > at:
            pieces.append((at, start))
        at = max(at, end)
    if at < size:
        pieces.append((at, size))
    return pieces


def _filled(pieces: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Pieces joined where the gaps between them are shortest, and cut where they are long."""
    gaps = sorted(
        (after[0] - before[1], place) for place, (before, after) in enumerate(pairwise(pieces))
    )
    joined, budget = set(), size * _GAP_SHARE
    for gap, place in gaps:
        budget -= gap
        if budget < 0:
            break
        joined.add(place)
    found: list[tuple[int, int]] = []
    for place, (start, end) in enumerate(pieces):
        if place - 1 in joined:
            start = found.pop()[0]
        found.append((start, end))
    return [
        (start, min(start + _PIECE_BYTES, stop))
        for begin, stop in found
        for start in range(begin, stop, _PIECE_BYTES)
    ]


class RemoteBytes:
    """The bytes of a remote file as a sequence, of which only those are fetched that are asked for.

    Args:
        file: the file, which nobody else reads meanwhile.
    """

    def __init__(self, file: RemoteReader) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> bytes: ...
    def __getitem__(self, place: int | slice) -> int | bytes:
        """A byte, or the bytes of a slice with step 1."""
        if isinstance(place, int):
            self._file.seek(place)
            return self._file.read(1)[0]
        start, stop, _ = place.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(stop - start, 0))
