"""``PlanTask``: the plan of a file, and all choices that are to be the same for every segment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vqe_fast.executors.executor import Report
from vqe_fast.models.inference import MIXED
from vqe_fast.storage.location import Location
from vqe_fast.video.errors import storage_refusals
from vqe_fast.video.media.writer import VideoWriter
from vqe_fast.video.options import SegmentOptions
from vqe_fast.video.report import Particulars
from vqe_fast.video.segments.fingerprint import fingerprint_of, refuse_changes, request_of
from vqe_fast.video.segments.parts_folder import PartsFolder
from vqe_fast.video.segments.rate_factor import rate_factor_for_size
from vqe_fast.video.segments.resume_state import State
from vqe_fast.video.segments.split import DEFAULT_SECONDS, plan_segments
from vqe_fast.video.segments.worker_setup import EnhanceContext, Job
from vqe_fast.video.session import EnhanceSession


@dataclass(frozen=True)
class Planned:
    """A plan, new or an earlier run's, and the particulars of the file."""

    state: State
    particulars: Particulars


@dataclass(frozen=True)
class PlanTask:
    """Plans the segments of a file, or checks that an earlier plan still holds.

    Attributes:
        job: the file.
        options: how it is cut.
        folder: for its parts.
        begun: the state of an earlier run.
    """

    job: Job
    options: SegmentOptions
    folder: PartsFolder
    begun: State | None

    @storage_refusals()
    def run(self, context: EnhanceContext, report: Report) -> Planned:
        """Makes the plan; decodes a few frames.

        Raises:
            VideoError: source, target or options do not allow it, or have changed since an
                earlier run.
        """
        session = context.session(self.job)
        particulars = rehearse(session, self.options)
        state = self._begin(session) if self.begun is None else self._resume(session, self.begun)
        return Planned(state, particulars)

    def _begin(self, session: EnhanceSession) -> State:
        seconds = self.options.segment_seconds
        options = replace(
            self.options, segment_seconds=DEFAULT_SECONDS if seconds is None else seconds
        )
        assert options.segment_seconds is not None
        with session.open() as video:
            segments = plan_segments(
                session.source, options.segment_seconds, video.pictures_a_frame
            )
            request = request_of(session, options)
            enhancer = session.enhancer(video)
        chosen: dict[str, Any] = {
            "precision": "auto" if enhancer.precision == MIXED else enhancer.precision,
            "tile": enhancer.tile,
            "clip_frames": enhancer.clip_frames,
            "crf": rate_factor_for_size(session, enhancer),
            "fingerprint": fingerprint_of(session),
        }
        return State(request, chosen, segments)

    def _resume(self, session: EnhanceSession, begun: State) -> State:
        options = self.options
        if options.segment_seconds is None:
            seconds = begun.request["options"]["segment_seconds"]
            options = replace(options, segment_seconds=seconds)
        refuse_changes(self.folder.path, begun.request, request_of(session, options))
        return begun


def rehearse(session: EnhanceSession, options: SegmentOptions) -> Particulars:
    """Refuses what cannot be written, before any work.

    Raises:
        VideoError: it cannot.
    """
    with (
        TemporaryDirectory(prefix="vqe-fast-") as elsewhere,
        session.qp_provider(),
        session.open() as video,
        VideoWriter(
            session.target,
            video,
            session.settings(video),
            with_chapters=True,
            folder=_folder_for(session.target, Path(elsewhere)),
        ),
    ):
        return session.particulars(video, options)


def _folder_for(target: Location, elsewhere: Path) -> Path | None:
    """Where the rehearsal writes: where the target will be, unless that is not there or remote."""
    is_here = isinstance(target, Path) and target.parent.is_dir()
    return None if is_here else elsewhere
