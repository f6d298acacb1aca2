"""``enhance_video``: one call from a source file to an enhanced file and its report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from torch import nn

from vqe_fast.executors.worker import worker_name
from vqe_fast.storage.location import Locatable, Location, location
from vqe_fast.video.errors import VideoError, storage_refusals
from vqe_fast.video.events import Advanced, FileDone, FileStarted, Observer
from vqe_fast.video.inference.memory import peak_memory, reset_peak
from vqe_fast.video.media.compatibility import refuse_misfits
from vqe_fast.video.media.output_name import beside
from vqe_fast.video.media.reader import Item, VideoReader
from vqe_fast.video.media.side_data import not_kept
from vqe_fast.video.media.trim import FromZero, first_frames, frames_from
from vqe_fast.video.media.writer import VideoWriter
from vqe_fast.video.options import SegmentOptions, count_of_frames, parse_options, with_options
from vqe_fast.video.pipeline.analyze import FrameAnalyzer
from vqe_fast.video.pipeline.run import run
from vqe_fast.video.report import EnhanceReport, Outcome
from vqe_fast.video.segments.admission import admit, refuse_part, skip_done
from vqe_fast.video.segments.enhance_segmented import enhance_segmented
from vqe_fast.video.segments.fingerprint import fingerprint_of
from vqe_fast.video.segments.plan_task import rehearse
from vqe_fast.video.segments.rate_factor import rate_factor_for_size
from vqe_fast.video.segments.worker_setup import Job
from vqe_fast.video.session import EnhanceSession

__all__ = ["EnhanceReport", "enhance_video"]

Progress = Callable[[int, int | None], None]


@with_options
@storage_refusals()
def enhance_video(
    source: Locatable,
    target: Locatable | None = None,
    model: str | nn.Module | None = None,
    *,
    start: float = 0.0,
    frames: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    observe: Observer = lambda event: None,
    **options: Any,
) -> EnhanceReport:
    """Enhances every frame of a video file; everything else is kept as it is.

    Timestamps, size, colour tags, all other streams, chapters and metadata are the source's, and
    under a model that works on luma the chroma samples too. The target appears under its name only
    when it is complete. Memory does not depend on the length of the video.

    Models that look at neighbouring frames see those of the same scene. A frame that repeats the
    one before, sample for sample, gets its result. A frame for which memory does not suffice is
    enhanced again in smaller tiles.

    Args:
        source: the file to read: a path, or a URL such as ``s3://bucket/a.mp4``.
        target: the file to write, a path or a URL too; its suffix chooses the container (mp4, mov,
            mkv, webm). None for ``a.enhanced.mp4`` beside ``a.mp4``, or ``.mkv`` where the source's
            does not hold the codec. See ``container``.
        start: begin with the first frame so many seconds after the first one, all streams at the
            same time, which becomes 0, and without chapters. What is before is decoded, too.
        frames: stop after so many frames, all streams at the same time and without chapters.
        overwrite: replace a target that exists.
        progress: called in the calling thread after each frame with the number of frames enhanced
            and an estimate of how many there are, or None.
        observe: called in the calling thread with each event of :mod:`vqe_fast.video.events`: that
            the work begins, each frame, each segment, each worker lost, and that the file is
            written. An end that is not that is raised, and not told.
        {options}

    Returns:
        What was done.

    Raises:
        SkippedError: with ``resume``, the target is there and was made just so, or another process
            works on it.
        VideoError: source, target or options do not allow it; the text says what to do.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    began = time.perf_counter()
    source = location(source)
    chosen, encode, segments = parse_options({"model": model, **options})
    target = beside(source, encode.codec) if target is None else location(target)
    session = EnhanceSession(source, target, chosen, encode).in_container()
    if segments.resume and not overwrite:
        skip_done(session, by_name=False)
    admit(Job(source, session.target), overwrite=overwrite, resume=segments.resume)
    part = _Part(_seconds(start), count_of_frames(frames))
    if not part.is_all and encode.target_size is not None:
        raise VideoError(
            "a target size is that of a whole video; leave out the start and the number of frames"
        )
    if segments.is_asked_for:
        refuse_part(is_all=part.is_all)
    # A symbolic link stays, and what it leads to is replaced.
    session = session.adjusted(target=session.target.resolve())
    if segments.is_asked_for:
        return enhance_segmented(session, segments, progress or _no_progress, observe)
    with session.open() as video:
        particulars = session.particulars(video, segments)
        session = session.adjusted(fingerprint=fingerprint_of(session, part.start, part.frames))
        session = _with_rate_factor(session, segments)
        teller = _Teller(source, session.target, progress, observe)
        outcome = _enhance_in_one_pass(session, video, part, teller)
        crf = particulars.crf if session.crf is None else session.crf
        report = EnhanceReport(
            **vars(outcome),
            **vars(replace(particulars, crf=crf)),
            source=str(source),
            target=str(session.target),
            seconds=time.perf_counter() - began,
            time_restarts=video.time_restarts,
            segments=None,
            resumed=0,
            frames_resumed=0,
            target_bytes=session.target.stat().st_size,
        )
    observe(FileDone(str(source), report, workers_lost=0))
    return report


@storage_refusals()
def target_of(source: Location, target: Location, **options: Any) -> Location:
    """The file that :func:`enhance_video` writes if it is asked for ``target``.

    Raises:
        VideoError: source, target or options do not allow it.
        WeightsError: the weights are missing, unreadable, or another model's.
    """
    chosen, encode, _ = parse_options(options)
    return EnhanceSession(source, target, chosen, encode).in_container().target


def _with_rate_factor(session: EnhanceSession, segments: SegmentOptions) -> EnhanceSession:
    """The session with the rate factor for the size that was asked for, if one was."""
    if session.wanted_size is None:
        return session
    rehearse(session, segments)
    return session.adjusted(crf=rate_factor_for_size(session, session.make_enhancer()))


@dataclass(frozen=True)
class _Part:
    """What is enhanced of a video: from so many seconds on, so many frames."""

    start: Fraction
    frames: int | None

    @property
    def is_all(self) -> bool:
        return self.start == 0 and self.frames is None

    def items(self, video: VideoReader) -> Iterable[Item]:
        """Frames and packets of ``video`` that belong to it."""
        items: Iterable[Item] = video.items()
        if self.start:
            items = frames_from(items, self.start)
        if self.frames is not None:
            audio = [stream.index for stream in video.container.streams.audio]
            items = first_frames(items, self.frames, audio)
        return items

    def count(self, video: VideoReader) -> int | None:
        """An estimate of how many frames there are; None if nothing is known."""
        facts = video.facts
        there = facts.frame_count
        if there is not None and self.start:
            there = max(there - round(self.start * facts.frame_rate), 1)
        return min((n for n in (there, self.frames) if n is not None), default=None)


def _enhance_in_one_pass(
    session: EnhanceSession, video: VideoReader, part: _Part, teller: _Teller
) -> Outcome:
    session.view(video)  # refuses what no temporary file need be made for
    settings = session.settings(video)
    refuse_misfits(session.target, video, settings)
    reset_peak(session.device)
    enhancer = session.enhancer(video)
    tag = session.tag(video, enhancer.precision)
    with (
        VideoWriter(session.target, video, settings, with_chapters=part.is_all, tag=tag) as writer,
        session.qp_provider() as qps,
    ):
        analyzer = FrameAnalyzer(planes=enhancer.view.planes, temporal=enhancer.is_temporal)
        teller.begin(part.count(video))
        bundles = session.bundles(part.items(video), video, analyzer, qps)
        done, timings = run(
            bundles,
            enhancer,
            FromZero(writer) if part.start else writer,
            teller.advance,
        )
        writer.commit()
        return Outcome.of(
            enhancer,
            qps,
            timings,
            peak_memory(session.device),
            frames_in=done,
            frames_out=writer.frames_encoded,
            frames_damaged=video.damaged_frames,
            frames_scaled=video.scaled_frames,
            damaged_packets=video.damaged_packets + writer.damaged_packets,
            not_kept=(*not_kept(video.extras, settings.codec), *writer.not_kept),
            duplicated=analyzer.repeats,
            scene_cuts=analyzer.scene_cuts,
        )


def _seconds(start: float) -> Fraction:
    """Seconds as a fraction without the rounding error of a float; VideoError if below 0."""
    if not 0 <= start < math.inf:
        raise VideoError(f"the start must be a number of seconds from 0 on, got {start}")
    return Fraction(start).limit_denominator(10**6)


class _Teller:
    """What tells of one pass: that it begins, and each frame."""

    def __init__(
        self, source: Location, target: Location, progress: Progress | None, observe: Observer
    ) -> None:
        self._source, self._target = str(source), str(target)
        self._progress, self._observe = progress or _no_progress, observe
        self._total: int | None = None

    def begin(self, total: int | None) -> None:
        """Tells that the work begins, of so many frames if that is known."""
        self._total = total
        self._observe(
            FileStarted(
                source=self._source,
                target=self._target,
                segments=None,
                frames=total,
                resumed=0,
                frames_resumed=0,
                worker=worker_name(),
            )
        )

    def advance(self, done: int) -> None:
        """Tells that so many frames are done."""
        total = self._total
        self._progress(done, total)
        self._observe(Advanced(self._source, done, total, done, total, workers=1))


def _no_progress(done: int, total: int | None) -> None:
    """What is called where nobody wants to know."""
