"""Inputs and outputs of an enhancement of several files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vqe_fast.cli.pipes import PIPE
from vqe_fast.video import SourceError, VideoError
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

    source: Path
    target: Path


def split_output(paths: Sequence[str]) -> tuple[list[Path], str | None]:
    """Inputs and OUTPUT among the arguments of a command; None for an output beside the input.

    Raises:
        VideoError: one is missing, or OUTPUT cannot be the directory that it has to be.
    """
    if not paths:
        raise VideoError("INPUT is missing: name the video to enhance, or a directory of videos")
    if len(paths) == 1:
        if paths[0] == str(PIPE):
            raise VideoError("OUTPUT is missing: name the file to write, or - for standard output")
        if os.path.isdir(paths[0]):
            raise VideoError(f"OUTPUT is missing: name the directory to write to, after {paths[0]}")
        return [Path(paths[0])], None
    *sources, output = paths
    if len(sources) > 1 and not os.path.isdir(output):
        looks_like_video = Path(output).suffix.lower() in _SUFFIXES and not output.endswith(os.sep)
        if os.path.exists(output) or looks_like_video:
            raise VideoError(
                f"OUTPUT has to be a directory for {len(sources)} inputs, and {output} looks like "
                "a file; name a directory behind the inputs"
            )
    return [Path(each) for each in sources], output


def is_several(sources: Sequence[Path], target: str) -> bool:
    """Whether ``target`` names a directory for any number of outputs."""
    return (
        len(sources) > 1
        or os.path.isdir(sources[0])
        or target.endswith(os.sep)
        or os.path.isdir(target)
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
    passed_over: list[Path] = field(default_factory=list)
    unread: dict[Path, str] = field(default_factory=dict)
    claimed: dict[Path, Path] = field(default_factory=dict)

    def claim(self, source: Path, target: Path) -> None:
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


def batch_of(sources: Iterable[Path], target: Path, codec: str) -> Batch:
    """The files to enhance, those to pass over, and the directories that cannot be listed.

    A directory stands for the files in it and in its sub-directories, which the outputs keep. A
    file that is named itself is never passed over. An output has its input's name, with ``.mkv``
    after it if that is of a container that cannot be written or does not hold ``codec``.

    Raises:
        VideoError: there is nothing to enhance, or two outputs would have the same name.
    """
    batch = Batch()
    for source in sources:
        if not os.path.isdir(source):
            batch.tasks.append(Task(source, target / _output_name(Path(source.name), codec)))
            continue
        for path in _files_in(source, target, batch.unread):
            if path.suffix.lower() in _SUFFIXES:
                name = _output_name(path.relative_to(source), codec)
                batch.tasks.append(Task(path, target / name))
            else:
                batch.passed_over.append(path)
    for task in batch.tasks:
        batch.claim(task.source, task.target)
    if not batch.tasks and not batch.unread:
        raise SourceError(
            f"there is no video among {', '.join(map(str, sources))}; name a file to have it tried"
        )
    return batch


def make_folder(path: Path) -> None:
    """Creates a directory, and those above it.

    Raises:
        VideoError: that cannot be done.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideoError(f"the directory {path} cannot be created: {error.strerror}") from error


def _files_in(folder: Path, target: Path, unread: dict[Path, str]) -> Iterator[Path]:
    """Files below ``folder`` by name; not hidden ones, outputs, or parts of unfinished ones."""
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


def _output_name(name: Path, codec: str) -> Path:
    return name if holds(name.suffix, codec) else name.with_name(f"{name.name}.mkv")
