"""Enhancement of one segment into a part."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vqe_fast.video.inference.memory import peak_memory
from vqe_fast.video.media.side_data import not_kept
from vqe_fast.video.pipeline.enhancer import Enhancer
from vqe_fast.video.pipeline.run import run
from vqe_fast.video.report import Outcome
from vqe_fast.video.segments.packet_file import PartWriter
from vqe_fast.video.segments.resume_state import Part
from vqe_fast.video.segments.segment_reader import SegmentReader
from vqe_fast.video.segments.split import Segment
from vqe_fast.video.session import EnhanceSession


def enhance_segment(
    session: EnhanceSession,
    enhancer: Enhancer,
    segment: Segment,
    path: Path,
    on_frame: Callable[[int], None],
) -> Part:
    """Decodes, enhances and encodes a segment into ``path``, which exists once it is complete.

    Args:
        session: the enhancement.
        enhancer: of ``session``, for any number of segments one after the other.
        segment: what to enhance.
        path: the file of the part.
        on_frame: called with the number of frames enhanced so far.

    Raises:
        VideoError: the video cannot be decoded, enhanced or encoded, or the part not be written.
    """
    draft = path.with_suffix(".draft")
    with session.qp_provider() as qps:
        excerpt = SegmentReader.of(session, enhancer, segment, qps)
        with session.open() as video:
            settings = session.settings(video)
            tell_qps = session.telling_qps(qps, video)
            writer = PartWriter(draft, session.target, video, settings)
        try:
            frames, timings = run(tell_qps(excerpt), enhancer, writer, on_frame)
            facts = writer.facts()
        except BaseException:
            writer.abandon()
            raise
    os.replace(draft, path)
    outcome = Outcome.of(
        enhancer,
        qps,
        timings,
        peak_memory(session.device),
        frames_in=frames,
        frames_out=facts.frames,
        frames_damaged=excerpt.damaged_frames,
        frames_scaled=excerpt.scaled_frames,
        damaged_packets=excerpt.damaged_packets,
        not_kept=not_kept(excerpt.extras, settings.codec),
        duplicated=excerpt.duplicated,
        scene_cuts=excerpt.scene_cuts,
    )
    return Part(facts, excerpt.first, excerpt.following, outcome)
