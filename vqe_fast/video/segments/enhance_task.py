"""``EnhanceTask``: the enhancement of one segment into a part, wherever parts are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vqe_fast.executors.executor import Report
from vqe_fast.storage.location import RemotePath, upload
from vqe_fast.video.errors import storage_refusals
from vqe_fast.video.segments.enhance_segment import enhance_segment
from vqe_fast.video.segments.parts_folder import PartsFolder
from vqe_fast.video.segments.resume_state import Part
from vqe_fast.video.segments.split import Segment
from vqe_fast.video.segments.worker_setup import EnhanceContext, Job

_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class EnhanceTask:
    """Enhances a segment.

    The part goes into its folder where this machine sees that; else its packets are sent in
    chunks.

    Attributes:
        job: the file.
        number: of the segment, from 0 on.
        segment: what to enhance.
        chosen: see :class:`.resume_state.State`.
        folder: for the parts.
        holder: the process that has locked the folder.
    """

    job: Job
    number: int
    segment: Segment
    chosen: dict[str, Any]
    folder: PartsFolder
    holder: str

    @storage_refusals()
    def run(self, context: EnhanceContext, report: Report) -> Part:
        """Makes the part.

        Raises:
            VideoError: the video cannot be decoded, enhanced or encoded, or the part not be
                written.
        """
        session, enhancer = context.enhancer(self.job, self.chosen)
        packets = self.folder.packets(self.number)
        is_seen = self.folder.is_seen_as(self.holder)
        if is_seen and isinstance(packets, Path):
            part = enhance_segment(session, enhancer, self.segment, packets, report.progress)
            self.folder.put(self.number, part)
            return part
        with TemporaryDirectory(prefix="vqe-fast-") as elsewhere:
            path = Path(elsewhere, packets.name)
            part = enhance_segment(session, enhancer, self.segment, path, report.progress)
            if isinstance(packets, RemotePath):
                upload(path, packets)
                self.folder.put(self.number, part)
            else:
                with path.open("rb") as file:
                    while data := file.read(_CHUNK_BYTES):
                        report.chunk(data)
        return part
