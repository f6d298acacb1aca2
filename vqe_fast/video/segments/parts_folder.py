"""``PartsFolder``: finished segments beside an output, on this machine or in a storage system."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, overload

from vqe_fast._atomic_write import NAME_BYTES, shortened
from vqe_fast.storage.errors import StorageError
from vqe_fast.storage.lease import LOCK
from vqe_fast.storage.location import Location, RemotePath, exists
from vqe_fast.video.errors import VideoError
from vqe_fast.video.segments.packet_file import checksum
from vqe_fast.video.segments.resume_state import Part, State

T = TypeVar("T")

_STATE = "state.json"
_REQUESTS = 16  # at a time


class PartsFolder:
    """The folder ``TARGET.parts``: the state, and of each finished segment packets and facts.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Location) -> None:
        self.path = path

    def packets(self, number: int) -> Location:
        """The packets of a segment, counted from 0."""
        return self.path / f"segment-{number + 1:04}.packets"

    def put(self, number: int, part: Part) -> None:
        """Notes that the packets of a segment are complete.

        Raises:
            VideoError: that cannot be written.
        """
        self._write(self._facts(number), part.to_dict())

    def parts(self, numbers: Iterable[int]) -> list[Part]:
        """The facts of finished segments, of which a storage system gives several at a time.

        Raises:
            VideoError: one is not finished, or cannot be read.
        """
        with ThreadPoolExecutor(_REQUESTS) as threads:
            return list(threads.map(self._part, numbers))

    def _part(self, number: int) -> Part:
        return self._read(self._facts(number), Part.from_dict)

    def load(self) -> State | None:
        """The state of an earlier run; None if there was none.

        Raises:
            VideoError: it cannot be read.
        """
        file = self.path / _STATE
        return self._read(file, State.from_dict) if exists(file) else None

    def save(self, state: State) -> None:
        """Writes ``state`` atomically.

        Raises:
            VideoError: it cannot be written.
            StorageError: the same, of a storage system.
        """
        self._write(self.path / _STATE, state.to_dict())

    def tidy(self, segments: int) -> dict[int, int]:
        """Deletes what is unfinished, and on this machine parts whose checksum has changed.

        A storage system is believed: it gives back what it has taken, or nothing.

        Args:
            segments: how many there are.

        Returns:
            Number of each finished segment → its frames.
        """
        there = {path.name: path for path in self.path.iterdir()}
        names = [(self.packets(n).name, self._facts(n).name) for n in range(segments)]
        numbers = [number for number in range(segments) if there.keys() >= set(names[number])]
        finished, kept = {}, {_STATE, LOCK}
        for number, part in zip(numbers, self.parts(numbers), strict=True):
            packets = self.packets(number)
            if isinstance(packets, RemotePath) or checksum(packets) == part.facts.sha256:
                finished[number] = part.facts.frames
                kept |= set(names[number])
        for name in there.keys() - kept:
            there[name].unlink(missing_ok=True)
        return finished

    def remove(self) -> None:
        """Deletes the folder."""
        if isinstance(self.path, RemotePath):
            with suppress(StorageError):  # the output is there: what is left does no harm
                self.path.remove_folder()
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def is_seen_as(self, holder: str) -> bool:
        """Whether this is, here, the folder that the process ``holder`` has locked.

        On another machine the same path may be another folder, or none; a URL is the same on all.
        """
        if isinstance(self.path, RemotePath):
            return True
        try:
            return (self.path / LOCK).read_text() == holder
        except OSError:
            return False

    def _facts(self, number: int) -> Location:
        return self.path / f"segment-{number + 1:04}.json"

    def _read(self, file: Location, parse: Callable[[dict[str, Any]], T]) -> T:
        try:
            return parse(json.loads(file.read_text("utf-8")))
        except StorageError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VideoError(
                f"{file} is not readable; delete {self.path} and start anew"
            ) from error

    def _write(self, file: Location, fields: dict[str, Any]) -> None:
        text = json.dumps(fields, indent=1)
        if isinstance(file, RemotePath):
            file.write_text(text)
            return
        draft = file.with_suffix(".draft")
        try:
            draft.write_text(text, "utf-8")
            os.replace(draft, file)
        except OSError as error:
            raise VideoError(f"{file} cannot be written: {error.strerror}") from error


def is_complete(target: Location) -> bool:
    """Whether ``target`` has been joined from the parts that its folder still holds."""
    state = PartsFolder(parts_path(target)).load() if exists(target) else None
    joined = None if state is None else state.joined
    if joined is None:
        return False
    if isinstance(target, RemotePath):
        return joined.size == target.stat().st_size
    return joined.inode == target.stat().st_ino


@overload
def parts_path(target: Path) -> Path: ...
@overload
def parts_path(target: Location) -> Location: ...
def parts_path(target: Location) -> Location:
    """The folder that belongs to the output ``target``."""
    target = target.resolve()
    name = f"{target.name}.parts"
    if len(os.fsencode(name)) > NAME_BYTES:
        mark = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]
        end = f".{mark}.parts"
        name = shortened(target.name, NAME_BYTES - len(end)) + end
    return target.with_name(name)
