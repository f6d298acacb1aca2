"""Degraded clips on disk: bitstreams made once, and an index of what they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from vqe_fast.training.clips import read_clip, stored_frames
from vqe_fast.training.crew import Crew
from vqe_fast.training.degradation import Degradation
from vqe_fast.training.encoding import require_encoder
from vqe_fast.training.estimate import lossless_bytes, luma_bytes, stream_bytes
from vqe_fast.training.index import (
    INDEX_NAME,
    ClipEntry,
    FileEntry,
    Index,
    SourceEntry,
    StreamEntry,
)
from vqe_fast.training.pairs import Decoded, PairedClip, Variant
from vqe_fast.training.sources import Source, Survey
from vqe_fast.training.streams import intact, stem_of, version_of, write_pristine, write_stream
from vqe_fast.video.scene import CUT_THRESHOLD

_PLANES = "planes"
_WRITE_INTERVAL = 5.0  # seconds


@dataclass(frozen=True)
class Plan:
    """What :func:`prepare` is about to do.

    Attributes:
        clips: how many.
        frames: of all clips together.
        streams: bitstreams to make.
        kept: bitstreams that are there already.
        bytes: how many are about to be written, within a factor of three or so.
        luma_bytes: what the luma of all versions takes once it is decoded for training.
    """

    clips: int
    frames: int
    streams: int
    kept: int
    bytes: int
    luma_bytes: int


class Prepared:
    """Degraded clips in a folder.

    Attributes:
        folder: where they are.
        index: what ``index.json`` says of those chosen.
        clips: the same as pairs of frames, which are decoded on demand into ``planes/``.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = folder
        self.index = index
        self.clips = [_paired(entry, folder) for entry in index.clips]

    @classmethod
    def open(cls, folder: Path, *, verify: bool = False) -> Self:
        """Opens all that was prepared in ``folder``.

        Args:
            folder: that :func:`prepare` wrote to.
            verify: whether to compare checksums too, not sizes alone.

        Raises:
            ValueError: there is no index, or a file is missing or not what it was.
        """
        index = Index.read(folder)
        for clip in index.clips:
            for file in (clip.pristine, *(stream.file for stream in clip.streams.values())):
                if not intact(file, folder, verify=verify):
                    raise ValueError(
                        f"{folder / file.path} of {clip.name} is missing or has changed: "
                        "prepare again"
                    )
        return cls(folder, index)


def prepare(
    sources: Sequence[Source],
    degradations: Sequence[Degradation],
    folder: Path,
    *,
    cut_threshold: float = CUT_THRESHOLD,
    workers: int | None = None,
    announce: Callable[[Plan], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Degrades clips into ``folder``: ``index.json`` and ``streams/``.

    What an earlier call left there is kept if source, settings and checksum are the same; clips
    and degradations that are not asked for stay. An interrupted call leaves complete files only,
    and the next one goes on from them. Versions of a source that has changed since are replaced.

    Args:
        sources: the pristine clips.
        degradations: what to do to each of them.
        folder: made if it does not exist.
        cut_threshold: of :func:`vqe_fast.video.scene.scene_cuts`.
        workers: encoders at work at the same time, each on one core; as many as there are cores
            if None.
        announce: told what will be done before it is.
        progress: told now and then how many frames of how many are done.

    Returns:
        The clips and degradations asked for.

    Raises:
        ValueError: a source cannot be read, an encoder is missing or refuses, or the index there
            is of another version.
    """
    for degradation in degradations:
        require_encoder(degradation)
    wanted = {degradation.name: degradation for degradation in degradations}
    with _Store(folder) as store, Crew(workers or os.cpu_count() or 1, progress) as crew:
        looks = [partial(_look, source, store, cut_threshold) for source in sources]
        found = {task.source: task for task in crew.run(looks)}
        tasks = {stem_of(found[source].origin): found[source] for source in sources}
        plan = _plan(tasks.values(), wanted)
        if announce is not None:
            announce(plan)
        crew.total = sum(task.ticks(wanted) for task in tasks.values())
        store.forget_changed(task.origin for task in tasks.values())
        clips = [
            partial(write_pristine, task.source, task.origin, folder, cut_threshold, crew.tick)
            for task in tasks.values()
            if task.entry is None
        ]
        for clip in crew.run(clips):
            store.put(tasks[stem_of(clip.source)].carried_over(clip))
        for task in tasks.values():
            if task.entry is not None:
                store.put(task.entry)
        streams = [
            partial(_stream, store.known[stem], degradation, folder, crew.tick)
            for stem in tasks
            for name, degradation in wanted.items()
            if name not in store.known[stem].streams
        ]
        for stem, stream in crew.run(streams):
            store.add(stem, stream)
        chosen = [_restricted(store.known[stem], wanted) for stem in tasks]
    return Prepared(folder, Index(clips=chosen))


@dataclass(frozen=True)
class _Task:
    """A source, and what of it is there.

    ``entry`` is None if the pristine clip is to be read anew; ``streams`` are those to be kept,
    if the clip that was made of the same source before, ``pristine``, turns out the same.
    """

    source: Source
    origin: SourceEntry
    survey: Survey
    entry: ClipEntry | None
    pristine: FileEntry | None
    streams: dict[str, StreamEntry]

    def missing(self, wanted: Mapping[str, Degradation]) -> list[Degradation]:
        return [wanted[name] for name in wanted if name not in self.streams]

    def ticks(self, wanted: Mapping[str, Degradation]) -> int:
        passes = len(self.missing(wanted))
        if self.entry is None:
            passes += 1 if self.source.rereadable() else 2
        return passes * self.survey.frames

    def carried_over(self, clip: ClipEntry) -> ClipEntry:
        same = self.pristine is not None and self.pristine.sha256 == clip.pristine.sha256
        return clip.model_copy(update={"streams": self.streams}) if same else clip


class _Store:
    """The index while it grows: written now and then, and at the end whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, ClipEntry] = {}
        if (folder / INDEX_NAME).exists():
            self.known = {stem_of(clip.source): clip for clip in Index.read(folder).clips}
        self._changed = False
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._changed:
            self._write()

    def put(self, clip: ClipEntry) -> None:
        """Adds or replaces a clip."""
        stem = stem_of(clip.source)
        self._drop_planes(f"{stem}.{version_of(None)}", clip.pristine)
        self._set(stem, clip)

    def add(self, stem: str, stream: StreamEntry) -> None:
        """Adds or replaces a degraded version of a clip."""
        self._drop_planes(f"{stem}.{version_of(stream.degradation)}", stream.file)
        clip = self.known[stem]
        streams = clip.streams | {stream.degradation.name: stream}
        self._set(stem, clip.model_copy(update={"streams": streams}))

    def forget_changed(self, origins: Iterable[SourceEntry]) -> None:
        """Deletes what was made of other contents of the same sources with the same settings."""
        now = {_identity(origin): origin.sha256 for origin in origins}
        for stem, clip in list(self.known.items()):
            if now.get(_identity(clip.source), clip.source.sha256) == clip.source.sha256:
                continue
            del self.known[stem]
            self._changed = True
            for path in [*self.folder.glob(f"*/{stem}.*")]:
                path.unlink()

    def _set(self, stem: str, clip: ClipEntry) -> None:
        if self.known.get(stem) == clip:
            return
        self.known[stem] = clip
        self._changed = True
        if time.monotonic() - self._written > _WRITE_INTERVAL:
            self._write()

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # In an order that does not depend on which thread was first.
        clips = sorted(self.known.values(), key=lambda clip: (clip.source.path, clip.name))
        ordered = [_restricted(clip, sorted(clip.streams)) for clip in clips]
        Index(clips=ordered).write(self.folder)
        self._changed, self._written = False, time.monotonic()

    def _drop_planes(self, version: str, file: FileEntry) -> None:
        for path in (self.folder / _PLANES).glob(f"{version}-*"):
            if not path.name.startswith(_plane_name(version, file)):
                path.unlink()


def _look(source: Source, store: _Store, cut_threshold: float) -> _Task:
    path, checksum = str(source.path.resolve()), source.checksum()
    origin = SourceEntry(path=path, sha256=checksum, settings=source.settings())
    known = store.known.get(stem_of(origin))
    if known is None:
        return _Task(source, origin, source.survey(), None, None, {})
    streams = {
        name: stream
        for name, stream in known.streams.items()
        if intact(stream.file, store.folder, verify=True)
    }
    is_copy = known.pristine.path != path
    complete = known.cut_threshold == cut_threshold and (
        intact(known.pristine, store.folder, verify=is_copy)
    )
    entry = known.model_copy(update={"name": source.name, "streams": streams})
    survey = Survey(known.frames, known.width, known.height, Fraction(known.rate))
    return _Task(source, origin, survey, entry if complete else None, known.pristine, streams)


def _plan(tasks: Collection[_Task], wanted: Mapping[str, Degradation]) -> Plan:
    missing = [(task.survey, each) for task in tasks for each in task.missing(wanted)]
    copies = [t.survey for t in tasks if t.entry is None and not t.source.rereadable()]
    size = sum(stream_bytes(survey, each) for survey, each in missing)
    return Plan(
        clips=len(tasks),
        frames=sum(task.survey.frames for task in tasks),
        streams=len(missing),
        kept=len(tasks) * len(wanted) - len(missing),
        bytes=size + sum(map(lossless_bytes, copies)),
        luma_bytes=sum(luma_bytes(task.survey, wanted.values()) for task in tasks),
    )


def _stream(
    clip: ClipEntry, degradation: Degradation, folder: Path, tick: Callable[[], None]
) -> tuple[str, StreamEntry]:
    return stem_of(clip.source), write_stream(clip, degradation, folder, tick)


def _restricted(clip: ClipEntry, wanted: Iterable[str]) -> ClipEntry:
    return clip.model_copy(update={"streams": {name: clip.streams[name] for name in wanted}})


def _identity(origin: SourceEntry) -> str:
    return origin.model_copy(update={"sha256": ""}).model_dump_json()


def _paired(clip: ClipEntry, folder: Path) -> PairedClip:
    stem = stem_of(clip.source)
    shape = (clip.frames, clip.height, clip.width)
    file = folder / clip.pristine.path
    pristine = Decoded(
        name=str(file),
        frames=lambda: iter(read_clip(file, clip.frames).frames),
        shape=shape,
        store=folder / _PLANES / _plane_name(f"{stem}.{version_of(None)}", clip.pristine),
        color=clip.color,
    )
    settings = {
        name: _variant(clip, stream, folder, f"{stem}.{version_of(stream.degradation)}")
        for name, stream in clip.streams.items()
    }
    return PairedClip(clip.name, pristine, settings, tuple(clip.cuts))


def _variant(clip: ClipEntry, stream: StreamEntry, folder: Path, version: str) -> Variant:
    file = folder / stream.file.path
    base = stream.degradation.base_qp
    return Variant(
        footage=Decoded(
            name=str(file),
            frames=lambda: stored_frames(file),
            shape=(len(stream.qp), clip.height, clip.width),
            store=folder / _PLANES / _plane_name(version, stream.file),
            color=clip.color,
        ),
        qp=np.array([np.nan if qp is None else qp for qp in stream.qp], np.float32),
        base_qp=np.nan if base is None else base,
        first=stream.first,
        step=stream.step,
    )


def _plane_name(version: str, file: FileEntry) -> str:
    return f"{version}-{file.sha256[:12]}"
