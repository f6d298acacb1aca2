"""The table of ``vqe-fast inspect``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from vqe_fast.inspection.inspect import Inspection, StreamFacts
from vqe_fast.video import FrameQP

_ORIGINS = {
    "blocks": "QPs are means over the blocks",
    "slices": "QPs are those of the slice headers, without what blocks add",
    "header": "QPs are those of the frame headers, without what blocks add",
    "unknown": "QPs of this codec are not read",
}


def print_table(inspection: Inspection) -> None:
    """Prints what the stream is, and count, QPs and sizes of its frames by type."""
    frames = inspection.frames
    console = Console(highlight=False)
    console.print(_headline(inspection.facts, len(frames)), markup=False, soft_wrap=True)
    table = Table("type", box=None)
    for column in ("frames", "mean QP", "least", "most", "mean bytes"):
        table.add_column(column, justify="right")
    for kind in ("I", "P", "B", "?"):
        of_kind = [frame for frame in frames if frame.type == kind]
        if of_kind:
            table.add_row(kind, *_cells(of_kind))
    table.add_row("all", *_cells(frames))
    console.print(table)
    for origin in dict.fromkeys(frame.origin for frame in frames):
        console.print(_ORIGINS[origin])


def _headline(facts: StreamFacts, count: int) -> str:
    rate = "rate unknown" if facts.frame_rate is None else f"{float(facts.frame_rate):.6g} fps"
    return (
        f"{facts.file}: {facts.codec}, {facts.width}×{facts.height} {facts.pixel_format}, "
        f"{rate}, {count} frames"
    )


def _cells(frames: Sequence[FrameQP]) -> list[str]:
    qps = [frame.qp for frame in frames if frame.qp is not None]
    figures = [f"{f(qps):.2f}" for f in (np.mean, np.min, np.max)] if qps else ["–"] * 3
    size = np.mean([frame.size for frame in frames])
    return [f"{len(frames):,}", *figures, f"{size:,.0f}"]
