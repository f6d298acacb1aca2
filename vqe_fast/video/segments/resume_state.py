"""Resume state: the folder of finished segments beside an output, and what it says of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, overload

from vqe_fast._atomic_write import NAME_BYTES, shortened
from vqe_fast.executors.worker import worker_name
from vqe_fast.storage.location import Location
from vqe_fast.video.errors import HeldError, VideoError
from vqe_fast.video.report import Outcome, read_outcome
from vqe_fast.video.segments.packet_file import PartFacts, checksum
from vqe_fast.video.segments.segment_reader import Seam
from vqe_fast.video.segments.split import Segment

T = TypeVar("T")

_STATE, _LOCK = "state.json", "lock"
_NAME_OF_A_WORKER = 300  # bytes, more than it has
_ABOUT = (
    "Finished segments of a video that vqe-fast is enhancing. To go on, give the same command "
    "again with --resume; to start anew, delete this folder."
)


@dataclass(frozen=True)
class Part:
    """A finished segment: its file, its seams to the neighbours, its outcome.

    Attributes:
        facts: of its file.
        first: the first frame as decoded; None if nothing of the segment decoded.
        following: the first frame after it as decoded; None at the end of the video.
        outcome: what came of it.
    """

    facts: PartFacts
    first: Seam | None
    following: Seam | None
    outcome: Outcome

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Part:
        """The part from what :meth:`to_dict` made, or JSON of it."""
        first, following = (
            None if seam is None else (int(seam[0]), int(seam[1]))
            for seam in (fields["first"], fields["following"])
        )
        outcome = read_outcome(fields["outcome"])
        return cls(PartFacts(**fields["facts"]), first, following, outcome)


@dataclass(frozen=True)
class Joined:
    """What came of joining all parts.

    Attributes:
        inode: of the file that gets the target's name next.
        damaged_packets: packets of other streams that it did not take.
        not_kept: what of the source, beside side data of its frames, it lacks, in words.
    """

    inode: int
    damaged_packets: int
    not_kept: tuple[str, ...]


@dataclass
class State:
    """Resume state of a run: fingerprint, choices, segments.

    Attributes:
        request: everything that decides what the frames will be, to be compared.
        chosen: what the first run chose by itself, for all others to keep to.
        segments: the plan.
        joined: what came of joining them, once all are joined.
    """

    request: dict[str, Any]
    chosen: dict[str, Any]
    segments: list[Segment]
    joined: Joined | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {
            "about": _ABOUT,
            "request": self.request,
            "chosen": self.chosen,
            "segments": [asdict(segment) for segment in self.segments],
            "joined": None if self.joined is None else asdict(self.joined),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> State:
        """The state from what :meth:`to_dict` made, or JSON of it."""
        joined = fields["joined"]
        if joined is not None:
            joined = Joined(**{**joined, "not_kept": tuple(joined["not_kept"])})
        segments = [Segment(**each) for each in fields["segments"]]
        return cls(fields["request"], fields["chosen"], segments, joined)


class PartsFolder:
    """The folder ``TARGET.parts``: the state, and of each finished segment packets and facts.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def packets(self, number: int) -> Path:
        """The packets of a segment, counted from 0."""
        return self.path / f"segment-{number + 1:04}.packets"

    def put(self, number: int, part: Part) -> None:
        """Notes that the packets of a segment are complete.

        Raises:
            VideoError: that cannot be written.
        """
        self._write(self._facts(number), part.to_dict())

    def part(self, number: int) -> Part:
        """The facts of a finished segment.

        Raises:
            VideoError: it is not finished, or that cannot be read.
        """
        return self._read(self._facts(number), Part.from_dict)

    def load(self) -> State | None:
        """The state of an earlier run; None if there was none.

        Raises:
            VideoError: it cannot be read.
        """
        file = self.path / _STATE
        return self._read(file, State.from_dict) if os.path.exists(file) else None

    def save(self, state: State) -> None:
        """Writes ``state`` atomically.

        Raises:
            VideoError: it cannot be written.
        """
        self._write(self.path / _STATE, state.to_dict())

    def tidy(self, segments: int) -> dict[int, int]:
        """Deletes what is unfinished, and parts whose checksum has changed.

        Args:
            segments: how many there are.

        Returns:
            Number of each finished segment → its frames.
        """
        finished, kept = {}, {_STATE, _LOCK}
        for number in range(segments):
            packets, facts = self.packets(number), self._facts(number)
            if not (facts.is_file() and packets.is_file()):
                continue
            part = self.part(number)
            if checksum(packets) == part.facts.sha256:
                finished[number] = part.facts.frames
                kept |= {packets.name, facts.name}
        for path in self.path.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
        return finished

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    def is_seen_as(self, holder: str) -> bool:
        """Whether this is, here, the folder that the process ``holder`` has locked.

        On another machine the same path may be another folder, or none.
        """
        try:
            return (self.path / _LOCK).read_text() == holder
        except OSError:
            return False

    def _facts(self, number: int) -> Path:
        return self.path / f"segment-{number + 1:04}.json"

    def _read(self, file: Path, parse: Callable[[dict[str, Any]], T]) -> T:
        try:
            return parse(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise VideoError(
                f"{file} is not readable; delete {self.path} and start anew"
            ) from error

    def _write(self, file: Path, fields: dict[str, Any]) -> None:
        draft = file.with_suffix(".draft")
        try:
            draft.write_text(json.dumps(fields, indent=1), "utf-8")
            os.replace(draft, file)
        except OSError as error:
            raise VideoError(f"{file} cannot be written: {error.strerror}") from error


def is_complete(target: Location) -> bool:
    """Whether ``target`` has been joined from the parts that its folder still holds."""
    if not isinstance(target, Path):
        return False  # nothing remote is joined from parts
    folder = PartsFolder(parts_path(target))
    state = folder.load() if os.path.exists(target) else None
    joined = None if state is None else state.joined
    return joined is not None and joined.inode == target.stat().st_ino


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


@contextmanager
def hold_parts(target: Location) -> Iterator[PartsFolder]:
    """Locks the folder of ``target``, which is made if need be.

    The lock is one of the operating system, which ends with the process that has it.

    Raises:
        HeldError: another process is in it.
        VideoError: it cannot be made.
    """
    if not isinstance(target, Path):
        raise VideoError(
            f"{target} cannot be written in segments; write a file of this machine, or leave out "
            "segments, workers, cluster and resume"
        )
    path = parts_path(target)
    try:
        lock = _lock(path)
        while not _is_of(lock, path):  # whoever had it was done meanwhile, and deleted the folder
            os.close(lock)
            lock = _lock(path)
    except OSError as error:
        raise VideoError(f"{target} cannot be written: {error.strerror}") from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, worker_name().encode(), 0)
        yield PartsFolder(path)
    finally:
        os.close(lock)


def _lock(path: Path) -> int:
    """The lock file of a folder, opened and locked; it may be one that was deleted meanwhile."""
    path.mkdir(exist_ok=True)
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        host, _, process = os.read(lock, _NAME_OF_A_WORKER).decode().rpartition(":")
        os.close(lock)
        holder = f"process {process} on {host}" if host else "another process"
        raise HeldError(f"{holder} is working in {path}; wait for its end") from error
    except OSError:
        os.close(lock)
        raise
    return lock


def _is_of(lock: int, path: Path) -> bool:
    """Whether a lock file is the one that the folder has."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path / _LOCK))
    except FileNotFoundError:
        return False
