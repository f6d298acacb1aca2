"""Prepared data set: degraded clips on disk, encoded once, with an index."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np

from vqe_fast.data.clips import read_clip, stored_frames
from vqe_fast.data.degradation import Degradation, drawn
from vqe_fast.data.encoding import require_encoder
from vqe_fast.data.index import (
    ClipEntry,
    Index,
    SharedIndex,
    SourceEntry,
    StreamEntry,
    stem_of,
)
from vqe_fast.data.pairs import Decoded, PairedClip, Variant
from vqe_fast.data.size_estimate import lossless_bytes, luma_bytes, stream_bytes
from vqe_fast.data.sources import Source, Survey
from vqe_fast.data.streams import (
    PLANES,
    Tick,
    at_work,
    delete_files,
    delete_planes,
    intact,
    plane_name,
    version_of,
    write_pristine,
    write_stream,
)
from vqe_fast.data.thread_pool import Crew
from vqe_fast.video.frames.scene_cuts import CUT_THRESHOLD


@dataclass(frozen=True)
class Plan:
    """Plan of :func:`prepare`: clips, streams to encode, bytes to write.

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
    """A prepared data set in a folder.

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
        """Opens the data set in ``folder``.

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
    per_clip: int | None = None,
    seed: int = 0,
    cut_threshold: float = CUT_THRESHOLD,
    workers: int | None = None,
    announce: Callable[[Plan], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Degrades clips into ``folder``: ``index.json`` and ``streams/``.

    What an earlier call left there is kept if source, settings and checksum are the same; clips
    and degradations that are not asked for stay. An interrupted call leaves complete files only,
    and the next one goes on from them. Versions of a source that has changed since are replaced.

    Several processes may prepare into the same folder at the same time: the index holds what all
    of them have made. What one of them might still need is not deleted meanwhile.

    Args:
        sources: the pristine clips.
        degradations: what to do to each of them.
        folder: made if it does not exist.
        per_clip: how many of the degradations a clip gets, drawn by ``seed`` and its content; all
            if None. See :func:`vqe_fast.data.degradation.drawn`.
        seed: of these draws.
        cut_threshold: of :func:`vqe_fast.video.frames.scene_cuts.scene_cuts`.
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
    unique = list({degradation.name: degradation for degradation in degradations}.values())
    choose = partial(drawn, unique, len(unique) if per_clip is None else per_clip, seed)
    with (
        ExitStack() as stack,
        SharedIndex(folder) as index,
        Crew(workers or os.cpu_count() or 1, progress) as crew,
    ):
        looks = [partial(_look, source, choose, index, folder, cut_threshold) for source in sources]
        found = {task.source: task for task in crew.run(looks)}
        tasks = {stem_of(found[source].origin): found[source] for source in sources}
        if announce is not None:
            announce(_plan(tasks.values()))
        crew.total = sum(task.ticks() for task in tasks.values())
        outdated = index.outdated(task.origin for task in tasks.values())
        alone = True
        if crew.total or outdated:
            presence = stack.enter_context(at_work(folder))
            with presence.alone() as alone:
                for stem in outdated if alone else ():
                    index.forget(stem)
                    delete_files(folder, stem)
        clips = _clips(tasks, index, folder, cut_threshold, crew)
        streams = _streams(tasks, clips, index, folder, crew, backwards=not alone)
    ordered = {
        stem: {each.name: streams[stem][each.name] for each in task.wanted}
        for stem, task in tasks.items()
    }
    chosen = [clips[stem].model_copy(update={"streams": ordered[stem]}) for stem in tasks]
    return Prepared(folder, Index(clips=chosen))


@dataclass(frozen=True)
class _Task:
    """A source, what is wanted of it, and what is there.

    ``entry`` is None if the pristine clip is to be read anew; ``streams`` are those to be kept,
    if the clip that was made of the same source before, ``known``, turns out the same.
    """

    source: Source
    origin: SourceEntry
    survey: Survey
    wanted: Sequence[Degradation]
    entry: ClipEntry | None
    known: ClipEntry | None
    streams: Mapping[str, StreamEntry]

    def missing(self) -> list[Degradation]:
        return [each for each in self.wanted if each.name not in self.streams]

    def ticks(self) -> int:
        passes = len(self.missing())
        if self.entry is None:
            passes += 1 if self.source.rereadable() else 2
        return passes * self.survey.frames

    def dropped(self, clip: ClipEntry) -> list[StreamEntry]:
        """Streams that are damaged, or made of another clip than this."""
        if self.known is None:
            return []
        kept = self.streams if self.known.pristine.sha256 == clip.pristine.sha256 else {}
        return [stream for name, stream in self.known.streams.items() if name not in kept]


def _look(
    source: Source,
    choose: Callable[[str], Sequence[Degradation]],
    index: SharedIndex,
    folder: Path,
    cut_threshold: float,
) -> _Task:
    path, checksum = str(source.path.resolve()), source.checksum()
    origin = SourceEntry(path=path, sha256=checksum, settings=source.settings())
    wanted = choose(checksum)
    known = index.clips.get(stem_of(origin))
    if known is None:
        return _Task(source, origin, source.survey(), wanted, None, None, {})
    streams = {
        name: stream
        for name, stream in known.streams.items()
        if intact(stream.file, folder, verify=True)
    }
    is_copy = known.pristine.path != path
    complete = known.cut_threshold == cut_threshold and (
        intact(known.pristine, folder, verify=is_copy)
    )
    entry = known.model_copy(update={"name": source.name}) if complete else None
    survey = Survey(known.frames, known.width, known.height, Fraction(known.rate))
    return _Task(source, origin, survey, wanted, entry, known, streams)


def _plan(tasks: Collection[_Task]) -> Plan:
    missing = [(task.survey, each) for task in tasks for each in task.missing()]
    copies = [t.survey for t in tasks if t.entry is None and not t.source.rereadable()]
    size = sum(stream_bytes(survey, each) for survey, each in missing)
    return Plan(
        clips=len(tasks),
        frames=sum(task.survey.frames for task in tasks),
        streams=len(missing),
        kept=sum(len(task.wanted) for task in tasks) - len(missing),
        bytes=size + sum(map(lossless_bytes, copies)),
        luma_bytes=sum(luma_bytes(task.survey, task.wanted) for task in tasks),
    )


def _clips(
    tasks: Mapping[str, _Task], index: SharedIndex, folder: Path, cut_threshold: float, crew: Crew
) -> dict[str, ClipEntry]:
    """Puts all clips into the index, those that are not there after reading them."""
    jobs = [
        partial(write_pristine, task.source, task.origin, folder, cut_threshold, crew.tick)
        for task in tasks.values()
        if task.entry is None
    ]
    known = (task.entry for task in tasks.values() if task.entry is not None)
    clips = {}
    for clip in chain(known, crew.run(jobs)):
        stem = stem_of(clip.source)
        clips[stem] = clip
        index.put(clip, tasks[stem].dropped(clip))
        delete_planes(folder, f"{stem}.{version_of(None)}", clip.pristine)
    return clips


def _streams(
    tasks: Mapping[str, _Task],
    clips: Mapping[str, ClipEntry],
    index: SharedIndex,
    folder: Path,
    crew: Crew,
    *,
    backwards: bool,
) -> dict[str, dict[str, StreamEntry]]:
    """Makes the streams that are missing, and adds them to the index.

    Of two processes that have the same to do one goes backwards: they meet in the middle.
    """
    streams: dict[str, dict[str, StreamEntry]] = {stem: {} for stem in tasks}
    jobs = []
    for stem, task in tasks.items():
        for degradation in task.wanted:
            there = index.stream(stem, degradation)
            if there is None:
                jobs.append(partial(_stream, clips[stem], degradation, index, folder, crew.tick))
            else:
                streams[stem][degradation.name] = there
    for stem, stream in crew.run(jobs[::-1] if backwards else jobs):
        streams[stem][stream.degradation.name] = stream
        index.add(clips[stem], stream)
        delete_planes(folder, f"{stem}.{version_of(stream.degradation)}", stream.file)
    return streams


def _stream(
    clip: ClipEntry, degradation: Degradation, index: SharedIndex, folder: Path, tick: Tick
) -> tuple[str, StreamEntry]:
    """Makes a stream, unless another process has done so since."""
    stem = stem_of(clip.source)
    there = index.stream(stem, degradation)
    if there is None or not intact(there.file, folder, verify=False):
        return stem, write_stream(clip, degradation, folder, tick)
    for _ in range(clip.frames):
        tick()
    return stem, there


def _paired(clip: ClipEntry, folder: Path) -> PairedClip:
    stem = stem_of(clip.source)
    shape = (clip.frames, clip.height, clip.width)
    file = folder / clip.pristine.path
    pristine = Decoded(
        name=str(file),
        frames=lambda: iter(read_clip(file, clip.frames).frames),
        shape=shape,
        store=folder / PLANES / plane_name(f"{stem}.{version_of(None)}", clip.pristine),
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
            store=folder / PLANES / plane_name(version, stream.file),
            color=clip.color,
        ),
        qp=np.array([np.nan if qp is None else qp for qp in stream.qp], np.float32),
        base_qp=np.nan if base is None else base,
        first=stream.first,
        step=stream.step,
        codec=stream.degradation.stream_codec,
        types=stream.types,
    )
