"""Block cache: pieces of remote files, shared by all that read the same one in this process."""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from vqe_fast.storage.errors import StorageError, Unreachable, in_words

BLOCK = 64 << 10
"""Bytes of a block; files are kept and fetched in whole ones."""

_KEPT = 64 << 20
_ATTEMPTS, _PAUSE = 3, 0.5  # seconds before the second attempt, and twice as many before the third
_TAGS = ("ETag", "etag", "generation", "mtime", "LastModified", "Last-Modified", "updated")
_LATE_TAGS = ("created",)  # of what keeps nothing better


@dataclass(frozen=True)
class Identity:
    """What tells one state of a remote file from another.

    Attributes:
        size: bytes.
        tag: the entity tag, or the time of the last change; empty where the server tells neither.
    """

    size: int
    tag: str

    @classmethod
    def of(cls, info: dict[str, Any]) -> Identity:
        """The identity from fsspec's info of a file."""
        tags = (info[name] for name in (*_TAGS, *_LATE_TAGS) if info.get(name))
        return cls(int(info["size"]), str(next(tags, "")).strip('"'))


_Key: TypeAlias = tuple[str, str, Identity]
_T = TypeVar("_T")


class RemoteFile:
    """A remote file in one state: its blocks, each of which is fetched once while it is kept.

    Attributes:
        size: bytes.
    """

    def __init__(
        self, system: Callable[[], Any], place: str, shown: str, scheme: str, identity: Identity
    ):
        self.size = identity.size
        self._system, self._place = system, place
        self._shown, self._scheme, self._identity = shown, scheme, identity
        self._lock = threading.Lock()
        self._requests = self._verified = 0

    @classmethod
    def shared(
        cls, system: Callable[[], Any], place: str, shown: str, scheme: str, identity: Identity
    ) -> RemoteFile:
        """The one object of this process for a file in this state.

        Args:
            system: gives fsspec's filesystem for the calling thread.
            place: what that calls the file.
            shown: the URL, without anything secret.
            scheme: of the URL.
            identity: what the file was when it was first looked at.
        """
        key = scheme, place, identity
        with _FILES_LOCK:
            file = _FILES.get(key)
            if file is None:
                file = _FILES[key] = cls(system, place, shown, scheme, identity)
            return file

    def read(self, start: int, end: int, ahead: int = 0) -> bytes:
        """The bytes from ``start`` to before ``end``, within the file.

        Args:
            start: first byte.
            end: behind the last one.
            ahead: how many more to fetch on this occasion, if the last ones have to be fetched.

        Raises:
            StorageError: they cannot be read.
        """
        numbers = range(start // BLOCK, -(-end // BLOCK))
        with self._lock:
            blocks = _CACHE.of(self._key, numbers)
            for run in _runs(number for number in numbers if number not in blocks):
                until = run.stop
                if until == numbers.stop:
                    most = min(-(-(end + ahead) // BLOCK), -(-self.size // BLOCK))
                    until = max(until, _CACHE.lacks_until(self._key, until, most))
                blocks |= self._fetch(run.start, until)
        return _part(blocks, numbers, start, end)

    def read_pieces(self, pieces: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, end), fetched at once; what is not there yet is not kept.

        Raises:
            StorageError: they cannot be read.
        """
        with self._lock:
            found = {piece: self._kept(*piece) for piece in pieces}
            lacking = [piece for piece in pieces if found[piece] is None]
            if lacking:
                fetched = self._attempt(
                    lambda: self._system().cat_ranges(
                        [self._place] * len(lacking),
                        [start for start, _ in lacking],
                        [end for _, end in lacking],
                        on_error="raise",
                    )
                )
                for (start, end), data in zip(lacking, fetched, strict=True):
                    self._take_in(data, end - start)
                    found[start, end] = bytes(data)
        return [found[piece] or b"" for piece in pieces]

    def verify(self) -> None:
        """Makes sure that what was fetched so far is of the same state.

        Raises:
            StorageError: the file has changed since.
        """
        with self._lock:
            if self._requests == self._verified:
                return
            with in_words(self._shown, self._scheme, "read"):
                now = Identity.of(self._system().info(self._place))
            if now != self._identity:
                raise self.changed()
            self._verified = self._requests

    def changed(self) -> StorageError:
        """The error for a file that is another than before."""
        error = StorageError(
            f"{self._shown} changed while it was read; start anew when nobody writes it any more"
        )
        error.is_of_reading = True
        return error

    @property
    def _key(self) -> _Key:
        return self._scheme, self._place, self._identity

    def _kept(self, start: int, end: int) -> bytes | None:
        """The bytes from ``start`` to before ``end`` if all of their blocks are kept."""
        numbers = range(start // BLOCK, -(-end // BLOCK))
        blocks = _CACHE.of(self._key, numbers)
        if len(blocks) < len(numbers):
            return None
        return _part(blocks, numbers, start, end)

    def _fetch(self, first: int, last: int) -> dict[int, bytes]:
        """The blocks from ``first`` to before ``last``, from the server."""
        start, end = first * BLOCK, min(last * BLOCK, self.size)
        data = self._attempt(lambda: self._system().cat_file(self._place, start=start, end=end))
        self._take_in(data, end - start)
        blocks = {
            number: bytes(data[(number - first) * BLOCK : (number - first + 1) * BLOCK])
            for number in range(first, last)
        }
        _CACHE.keep(self._key, blocks)
        return blocks

    def _attempt(self, fetch: Callable[[], _T]) -> _T:
        for attempt in range(_ATTEMPTS):
            try:
                with in_words(self._shown, self._scheme, "read"):
                    return fetch()
            except Unreachable:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_PAUSE * 2**attempt)
        raise AssertionError

    def _take_in(self, data: bytes, expected: int) -> None:
        self._requests += 1
        with _FILES_LOCK:
            _FETCHED[self._shown] = _FETCHED.get(self._shown, 0) + len(data)
        if len(data) != expected:
            raise self.changed()


def bytes_fetched(shown: str) -> int:
    """Bytes that this process has fetched so far of the file with this URL, as it is shown."""
    with _FILES_LOCK:
        return _FETCHED.get(shown, 0)


class _Cache:
    """Blocks of all files, of which the least recently used are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[_Key, int], bytes] = OrderedDict()
        self._bytes = 0

    def of(self, file: _Key, numbers: Iterable[int]) -> dict[int, bytes]:
        """Those of a file's blocks that are there."""
        found = {}
        with self._lock:
            for number in numbers:
                if (file, number) in self._blocks:
                    self._blocks.move_to_end((file, number))
                    found[number] = self._blocks[file, number]
        return found

    def lacks_until(self, file: _Key, first: int, most: int) -> int:
        """The end of the run of a file's blocks from ``first`` on that are not there."""
        with self._lock:
            there = (number for number in range(first, most) if (file, number) in self._blocks)
            return next(there, most)

    def keep(self, file: _Key, blocks: dict[int, bytes]) -> None:
        """Takes a file's blocks in."""
        with self._lock:
            for number, block in blocks.items():
                self._bytes += len(block) - len(self._blocks.pop((file, number), b""))
                self._blocks[file, number] = block
            while self._bytes > _KEPT:
                self._bytes -= len(self._blocks.popitem(last=False)[1])


def _part(blocks: dict[int, bytes], numbers: range, start: int, end: int) -> bytes:
    data = b"".join(blocks[number] for number in numbers)
    return data[start - numbers.start * BLOCK : end - numbers.start * BLOCK]


def _runs(numbers: Iterable[int]) -> Iterator[range]:
    """Runs of consecutive numbers, which increase."""
    run = range(0)
    for number in numbers:
        if run and number != run.stop:
            yield run
            run = range(0)
        run = range(run.start, number + 1) if run else range(number, number + 1)
    if run:
        yield run


_CACHE = _Cache()
_FILES: weakref.WeakValueDictionary[_Key, RemoteFile] = weakref.WeakValueDictionary()
_FILES_LOCK = threading.Lock()
_FETCHED: dict[str, int] = {}
