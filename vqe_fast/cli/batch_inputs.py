"""Inputs and outputs of an enhancement of several files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from vqe_fast.cli.pipes import PIPE
from vqe_fast.storage.errors import StorageError
from vqe_fast.storage.location import Location, RemotePath, exists, is_folder, location
from vqe_fast.video import SourceError, VideoError
from vqe_fast.video.errors import storage_refusals
from vqe_fast.video.media.output_name import holds

_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "m2ts", "m2v", "m4v", "mkv", "mov"),
        *("mp4", "mpeg", "mpg", "mts", "mxf", "nut", "ogv", "qt", "rm", "rmvb", "ts", "vob"),
        *("webm", "wmv", "264", "265", "h264", "h265", "hevc", "ivf", "obu", "y4m"),
    )
)
"""What names of video files end in."""


@dataclass(frozen=True)
class Task:
    """A file to read, and the file to write."""

    source: Location
    target: Location


def split_output(paths: Sequence[str]) -> tuple[list[Location], str | None]:
    """Inputs and OUTPUT among the arguments of a command; None for an output beside the input.

    Raises:
        VideoError: one is missing, or OUTPUT cannot be the directory that it has to be.
    """
    if not paths:
        raise VideoError("INPUT is missing: name the video to enhance, or a directory of videos")
    if len(paths) == 1:
        if paths[0] == str(PIPE):
            raise VideoError("OUTPUT is missing: name the file to write, or - for standard output")
        only = location(paths[0])
        if is_folder(only):
            raise VideoError(f"OUTPUT is missing: name the directory to write to, after {paths[0]}")
        return [only], None
    *sources, output = paths
    if len(sources) > 1 and not is_folder(location(output)):
        looks_like_video = Path(output).suffix.lower() in _SUFFIXES and not output.endswith(os.sep)
        if exists(location(output)) or looks_like_video:
            raise VideoError(
                f"OUTPUT has to be a directory for {len(sources)} inputs, and {output} looks like "
                "a file; name a directory behind the inputs"
            )
    return [location(each) for each in sources], output


def is_several(sources: Sequence[Location], target: str) -> bool:
    """Whether ``target`` names a directory for any number of outputs."""
    return (
        len(sources) > 1
        or is_folder(sources[0])
        or target.endswith(os.sep)
        or is_folder(location(target))
    )


@dataclass
class Batch:
    """What is to be done with the files that are named, and those in directories.

    Attributes:
        tasks: the files to enhance.
        passed_over: those whose names are not those of videos.
        unread: directories that cannot be listed, with the reason.
        claimed: each output, with the input that it is of.
    """

    tasks: list[Task] = field(default_factory=list)
    passed_over: list[Location] = field(default_factory=list)
    unread: dict[Location, str] = field(default_factory=dict)
    claimed: dict[Location, Location] = field(default_factory=dict)

    def claim(self, source: Location, target: Location) -> None:
        """Notes that ``target`` is the output of ``source``.

        Raises:
            VideoError: it is that of another input.
        """
        other = self.claimed.setdefault(target, source)
        if other is not source:
            raise VideoError(
                f"{other} and {source} would both be written to {target}; "
                "enhance them one after the other, into different directories"
            )


def batch_of(sources: Iterable[Location], target: Location, codec: str) -> Batch:
    """The files to enhance, those to pass over, and the directories that cannot be listed.

    A directory stands for the files in it and in its sub-directories, which the outputs keep. A
    file that is named itself is never passed over. An output has its input's name, with ``.mkv``
    after it if that is of a container that cannot be written or does not hold ``codec``.

    Raises:
        VideoError: there is nothing to enhance, or two outputs would have the same name.
    """
    batch = Batch()
    for source in sources:
        if not is_folder(source):
            name = _output_name(PurePath(source.name), codec)
            batch.tasks.append(Task(source, target / name))
            continue
        for path, below in _files_in(source, target, batch.unread):
            if path.suffix.lower() in _SUFFIXES:
                batch.tasks.append(Task(path, target / _output_name(below, codec)))
            else:
                batch.passed_over.append(path)
    for task in batch.tasks:
        batch.claim(task.source, task.target)
    if not batch.tasks and not batch.unread:
        raise SourceError(
            f"there is no video among {', '.join(map(str, sources))}; name a file to have it tried"
        )
    return batch


def make_folder(path: Location) -> None:
    """Creates a directory, and those above it.

    Raises:
        VideoError: that cannot be done.
    """
    try:
        with storage_refusals():
            path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideoError(f"the directory {path} cannot be created: {error.strerror}") from error


def _files_in(
    folder: Location, target: Location, unread: dict[Location, str]
) -> Iterator[tuple[Location, PurePath]]:
    """Files below ``folder`` by name; not hidden ones, outputs, or parts of unfinished ones.

    Each comes with its path from ``folder`` on.
    """
    if isinstance(folder, RemotePath):
        for file in _remote_files_in(folder, target, unread):
            yield file, file.relative_to(folder)
    else:
        for path in _local_files_in(folder, target, unread):
            yield path, path.relative_to(folder)


def _remote_files_in(
    folder: RemotePath, target: Location, unread: dict[Location, str]
) -> Iterator[RemotePath]:
    try:
        found = [each for each in folder.scan() if not each[0].name.startswith(".")]
    except StorageError as error:
        unread[folder] = str(error)
        return
    yield from (path for path, is_one in found if not is_one)
    for path, is_one in found:
        if is_one and path.suffix != ".parts" and path != target:
            yield from _remote_files_in(path, target, unread)


def _local_files_in(folder: Path, target: Location, unread: dict[Location, str]) -> Iterator[Path]:
    outputs = target.resolve()

    def cannot(error: OSError) -> None:
        unread[Path(error.filename)] = str(error.strerror)

    for here, folders, files in os.walk(folder, onerror=cannot):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and not name.endswith(".parts")
            and Path(here, name).resolve() != outputs
        )
        yield from (Path(here, name) for name in sorted(files) if not name.startswith("."))


def _output_name(name: PurePath, codec: str) -> PurePath:
    return name if holds(name.suffix, codec) else name.with_name(f"{name.name}.mkv")
