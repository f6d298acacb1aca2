"""Scheduler of segments: plan, enhance those missing, concatenate."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vqe_fast.models.inference import MIXED
from vqe_fast.video.errors import VideoError
from vqe_fast.video.inference.memory import reset_peak
from vqe_fast.video.media.writer import VideoWriter
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.report import Outcome, total
from vqe_fast.video.segments.concat import join_parts
from vqe_fast.video.segments.enhance_segment import enhance_segment
from vqe_fast.video.segments.fingerprint import refuse_changes, request_of
from vqe_fast.video.segments.rate_factor import rate_factor_for_size
from vqe_fast.video.segments.resume_state import (
    Part,
    PartsFolder,
    State,
    hold_parts,
    is_complete,
    parts_path,
)
from vqe_fast.video.segments.split import DEFAULT_SECONDS, plan_segments
from vqe_fast.video.segments.worker_pool import (
    Order,
    cores_of_each,
    enhance_together,
    worker_devices,
)
from vqe_fast.video.session import EnhanceSession


@dataclass(frozen=True)
class SegmentedOutcome:
    """Outcome of all segments, or of one pass.

    Attributes:
        outcome: of all together.
        segments: how many there are; None if the video was not cut.
        resumed: how many an earlier run had finished.
        frames_resumed: their frames.
        crf: the rate factor chosen for a size; None if none was asked for.
    """

    outcome: Outcome
    segments: int | None
    resumed: int
    frames_resumed: int
    crf: float | None


def enhance_segmented(
    session: EnhanceSession, options: SegmentOptions, on_frame: Callable[[int, int], None]
) -> SegmentedOutcome:
    """Enhances the video of ``session`` in segments, keeping those finished if interrupted.

    Args:
        session: the enhancement.
        options: how it is cut, by how many it is enhanced, and whether to go on.
        on_frame: called with the number of frames that are enhanced, and that of all.

    Raises:
        VideoError: source, target or options do not allow it, or have changed since an earlier run.
    """
    if options.workers < 1:
        raise VideoError(f"there must be at least 1 worker, got {options.workers}")
    worker_devices(session.model.device, options.workers)
    rehearse(session)
    with hold_parts(session.target) as folder:
        state = folder.load()
        is_new = state is None
        try:
            if state is None:
                session, enhancer, state = _begin(session, options)
            else:
                refuse_leftovers(session.target, options.resume)
                session, enhancer = _resume(session, options, folder, state)
            folder.save(state)
            return _finish(session, options, folder, state, enhancer, on_frame)
        except BaseException:
            if is_new and not (state and any(state.parts)):
                folder.remove()
            raise


def refuse_leftovers(target: Path, resume: bool) -> None:
    """Refuses parts of ``target`` that an interrupted run left, unless they are to be resumed.

    Raises:
        VideoError: one did.
    """
    path = parts_path(target)
    if os.path.exists(path) and not resume:
        raise VideoError(
            f"{path} holds what an interrupted run has finished; go on with --resume, or delete "
            "the folder to start anew"
        )


def rehearse(session: EnhanceSession) -> None:
    """Refuses what cannot be written, before any work.

    Raises:
        VideoError: it cannot.
    """
    with (
        session.qp_provider(),
        session.open() as video,
        VideoWriter(session.target, video, session.settings(video), with_chapters=True),
    ):
        pass


def _begin(
    session: EnhanceSession, options: SegmentOptions
) -> tuple[EnhanceSession, Enhancer, State]:
    """The plan, and all choices that are to be the same for every segment."""
    workers = options.workers
    seconds = DEFAULT_SECONDS if options.segment_seconds is None else options.segment_seconds
    shared = session.adjusted(processes=_on_one_device(session, options))
    with shared.open() as video:
        segments = plan_segments(session.source, seconds, video.pictures_a_frame)
        request = request_of(session, replace(options, segment_seconds=seconds))
        enhancer = shared.enhancer(video)
    chosen = {
        "precision": "auto" if enhancer.precision == MIXED else enhancer.precision,
        "tile": enhancer.tile,
        "clip_frames": enhancer.clip_frames,
        "crf": rate_factor_for_size(shared, enhancer),
        "encoder_threads": 0 if workers == 1 else cores_of_each(workers),
    }
    state = State(request, chosen, segments, [None] * len(segments))
    return _pinned(session, options, state), enhancer, state


def _resume(
    session: EnhanceSession, options: SegmentOptions, folder: PartsFolder, state: State
) -> tuple[EnhanceSession, Enhancer]:
    """Checks that the run is the same, and keeps to the choices of the one before."""
    if options.segment_seconds is None:
        seconds = state.request["options"]["segment_seconds"]
        options = replace(options, segment_seconds=seconds)
    refuse_changes(folder.path, state.request, request_of(session, options))
    folder.tidy(state)
    session = _pinned(session, options, state)
    return session, session.make_enhancer()


def _pinned(session: EnhanceSession, options: SegmentOptions, state: State) -> EnhanceSession:
    """The session with the choices written down in ``state``."""
    chosen: dict[str, Any] = state.chosen
    return session.adjusted(
        precision=chosen["precision"],
        encoder_threads=chosen["encoder_threads"],
        tile=chosen["tile"],
        clip_frames=chosen["clip_frames"],
        crf=chosen["crf"],
        processes=_on_one_device(session, options),
    )


def _on_one_device(session: EnhanceSession, options: SegmentOptions) -> int:
    """How many workers run the model on the same device."""
    return options.workers if session.device.type == "cpu" else 1


def _finish(
    session: EnhanceSession,
    options: SegmentOptions,
    folder: PartsFolder,
    state: State,
    enhancer: Enhancer,
    on_frame: Callable[[int, int], None],
) -> SegmentedOutcome:
    """Enhances the segments that are missing, and joins them all."""
    finished = [part for part in state.parts if part is not None]
    resumed, done = len(finished), sum(part.facts.frames for part in finished)
    frames_resumed, planned = done, sum(segment.frames for segment in state.segments)
    orders = [
        Order(number, segment, folder.part(number))
        for number, segment in enumerate(state.segments)
        if state.parts[number] is None
    ]

    def on_frames(under_way: int) -> None:
        on_frame(done + under_way, planned)

    def on_part(number: int, part: Part) -> None:
        nonlocal done
        done += part.facts.frames
        state.parts[number] = part
        folder.save(state)

    if resumed:
        on_frames(0)
    reset_peak(session.device)
    if options.workers == 1:
        for order in orders:
            part = enhance_segment(session, enhancer, order.segment, order.path, on_frames)
            on_part(order.number, part)
    else:
        del enhancer
        enhance_together(session, options.workers, orders, on_frames, on_part)
    if not is_complete(session.target):
        join_parts(session, folder, state)
    folder.remove()
    outcome = total([part.outcome for part in state.parts if part is not None])
    assert state.joined is not None
    outcome = replace(
        outcome,
        damaged_packets=outcome.damaged_packets + state.joined.damaged_packets,
        not_kept=(*outcome.not_kept, *state.joined.not_kept),
    )
    crf = state.chosen["crf"]
    return SegmentedOutcome(outcome, len(state.segments), resumed, frames_resumed, crf)
