"""Files of prepared clips: pristine copies and degraded bitstreams, each with its index entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av

from vqe_fast._atomic_write import Presence, atomic_write, delete_drafts
from vqe_fast.data.clips import read_clip
from vqe_fast.data.color import Samples
from vqe_fast.data.degradation import Degradation
from vqe_fast.data.encoding import encode
from vqe_fast.data.index import (
    ClipEntry,
    FileEntry,
    SourceEntry,
    StreamEntry,
    slug,
    stem_of,
)
from vqe_fast.data.sources import Source, file_checksum
from vqe_fast.video import read_qp
from vqe_fast.video.frames.color import ColorFacts
from vqe_fast.video.frames.planes import luma_view
from vqe_fast.video.frames.scene_cuts import scene_cuts

STREAMS = "streams"
"""The folder, beside the index, that holds the files."""

PLANES = "planes"
"""The folder, beside the index, that holds what was decoded from them."""

_PRESENCE_NAME = "prepare.lock"

Tick = Callable[[], None]
"""Called for each frame; may raise to stop the work."""


def write_pristine(
    source: Source, origin: SourceEntry, folder: Path, threshold: float, tick: Tick
) -> ClipEntry:
    """Writes a clip's pristine copy, if its source cannot be reread, and finds its scene cuts.

    Args:
        source: what to read.
        origin: its entry.
        folder: of the index.
        threshold: of :func:`vqe_fast.video.frames.scene_cuts.scene_cuts`.
        tick: called for each frame.

    Returns:
        The clip's entry, without streams.

    Raises:
        ValueError: the source cannot be read, or a frame of it cannot be coded.
    """
    clip = source.clip()
    frames = clip.frames
    if source.rereadable():
        size = source.path.stat().st_size
        pristine = FileEntry(path=origin.path, bytes=size, sha256=origin.sha256)
    else:
        path = folder / STREAMS / f"{stem_of(origin)}.{version_of(None)}.mkv"
        with _finished(path) as target:
            encode(_ticking(frames, tick), None, clip.rate, target)
            pristine = _entry(target, path.relative_to(folder))
        frames = read_clip(path).frames
    first = next(iter(frames))
    count = 0

    def lumas() -> Iterator[Samples]:
        nonlocal count
        for frame in _ticking(frames, tick):
            count += 1
            yield luma_view(frame)

    cuts = list(scene_cuts(lumas(), threshold))
    return ClipEntry(
        name=source.name,
        source=origin,
        pristine=pristine,
        frames=count,
        width=first.width,
        height=first.height,
        rate=str(clip.rate),
        color=ColorFacts.of(first),
        cut_threshold=threshold,
        cuts=cuts,
        streams={},
    )


def write_stream(
    clip: ClipEntry, degradation: Degradation, folder: Path, tick: Tick
) -> StreamEntry:
    """Encodes a degraded version of a clip, and reads QPs and frame types from the result.

    Args:
        clip: its entry.
        degradation: what to do to it.
        folder: of the index.
        tick: called for each pristine frame.

    Raises:
        ValueError: the encoder refuses, or the result holds another number of frames.
    """
    path = folder / STREAMS / f"{stem_of(clip.source)}.{version_of(degradation)}.mkv"
    frames = _ticking(read_clip(folder / clip.pristine.path, clip.frames).frames, tick)
    try:
        with _finished(path) as target:
            count = encode(frames, degradation, Fraction(clip.rate), target, count=clip.frames)
            file = _entry(target, path.relative_to(folder))
            found = read_qp(target)
            if len(found) != count:
                raise ValueError(f"{degradation.name} made {len(found)} frames of {count}")
    except ValueError as error:
        raise ValueError(f"{clip.name}: {error}") from error
    step = degradation.blur or 1
    return StreamEntry(
        file=file,
        degradation=degradation,
        first=step // 2,
        step=step,
        types="".join(frame.type for frame in found),
        qp=[None if frame.qp is None else round(frame.qp, 2) for frame in found],
        sizes=[frame.size for frame in found],
    )


def intact(file: FileEntry, folder: Path, *, verify: bool) -> bool:
    """Whether a file is there with its size, and with ``verify`` also with its checksum."""
    path = folder / file.path
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    return not verify or file_checksum(path) == file.sha256


@contextmanager
def at_work(folder: Path) -> Iterator[Presence]:
    """Marks this process as at work in ``folder``; the last one there deletes leftovers.

    Files that were being written when their process was killed are left over.

    Args:
        folder: of the index; made if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Presence(folder / _PRESENCE_NAME) as presence:
        _delete_leftovers(presence, folder)
        try:
            yield presence
        finally:
            _delete_leftovers(presence, folder)


def delete_files(folder: Path, stem: str) -> None:
    """Deletes all files of a clip."""
    for path in [*folder.glob(f"*/{stem}.*")]:
        path.unlink(missing_ok=True)


def delete_planes(folder: Path, version: str, file: FileEntry) -> None:
    """Deletes decoded planes of a version that were made from other contents than ``file``.

    Args:
        folder: of the index.
        version: stem and :func:`version_of`, with a dot between them.
        file: what it is now.
    """
    for path in (folder / PLANES).glob(f"{version}-*"):
        if not path.name.startswith(plane_name(version, file)):
            path.unlink(missing_ok=True)


def plane_name(version: str, file: FileEntry) -> str:
    """File name prefix of the planes decoded from a version."""
    return f"{version}-{file.sha256[:12]}"


def version_of(degradation: Degradation | None) -> str:
    """File name part of a version, after the stem; None is the pristine one."""
    return "pristine" if degradation is None else slug(degradation.name)


def _delete_leftovers(presence: Presence, folder: Path) -> None:
    with presence.alone() as alone:
        if alone:
            delete_drafts(folder / STREAMS / "*.mkv")


@contextmanager
def _finished(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as draft:
        yield draft


def _entry(path: Path, place: Path) -> FileEntry:
    return FileEntry(path=place.as_posix(), bytes=path.stat().st_size, sha256=file_checksum(path))


def _ticking(frames: Iterable[av.VideoFrame], tick: Tick) -> Iterator[av.VideoFrame]:
    for frame in frames:
        tick()
        yield frame
