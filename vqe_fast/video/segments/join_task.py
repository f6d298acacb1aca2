"""``JoinTask``: the concatenation of finished parts to the output."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vqe_fast.executors.executor import Report
from vqe_fast.video.errors import storage_refusals
from vqe_fast.video.report import Outcome, total
from vqe_fast.video.segments.concat import join_parts
from vqe_fast.video.segments.parts_folder import PartsFolder, is_complete
from vqe_fast.video.segments.resume_state import State
from vqe_fast.video.segments.worker_setup import EnhanceContext, Job


@dataclass(frozen=True)
class JoinTask:
    """Joins the parts of a file.

    Attributes:
        job: the file.
        state: its plan, all of which is finished.
        folder: of the parts.
        holder: the process that has locked the folder.
    """

    job: Job
    state: State
    folder: PartsFolder
    holder: str

    @storage_refusals()
    def run(self, context: EnhanceContext, report: Report) -> Outcome | None:
        """Writes the output, and sums up what came of all segments.

        Returns:
            The outcome; None if this machine does not see the folder.

        Raises:
            VideoError: the parts do not fit together, or the target cannot be written.
        """
        if not self.folder.is_seen_as(self.holder):
            return None
        session = context.pinned(self.job, self.state.chosen)
        parts = self.folder.parts(range(len(self.state.segments)))
        if not is_complete(session.target):
            join_parts(session, self.folder, self.state, parts)
        joined = self.state.joined
        assert joined is not None
        outcome = total([part.outcome for part in parts])
        return replace(
            outcome,
            damaged_packets=outcome.damaged_packets + joined.damaged_packets,
            not_kept=(*outcome.not_kept, *joined.not_kept),
        )
