"""Row of results: one clip at one setting under one restorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

COMPRESSED = "none"
"""The restorer that leaves the compressed clip as it is; all others are compared to it."""

PerFrame = Mapping[str, list[float | None]]


@dataclass(frozen=True)
class Row:
    """Metrics of a clip at a setting under a restorer.

    Attributes:
        clip: its name.
        setting: name of the degradation.
        restorer: its name.
        count: frames.
        bitrate: of the compressed clip, kbit/s; None if unknown.
        figures: name → mean over the frames, or figure of the clip as a whole, see
            :data:`vqe_fast.evaluation.metrics_table.FIGURES`; None where it is not defined.
        frames: name → value of each frame.
        fps: frames per second; None where nothing was run.
        timed: what ``fps`` times: ``"model"`` alone, or the whole ``"command"`` with its decoder
            and encoder.
        workers: how many worked at the same time: with more than one, ``fps`` compares with none.
        note: what else there is to know, such as the strength that was chosen.
        error: why there are no figures; empty if there are.
        matches: of detections, as :meth:`vqe_fast.evaluation.detection.Matches.to_dict` has them.
    """

    clip: str
    setting: str
    restorer: str
    count: int
    bitrate: float | None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    frames: PerFrame = field(default_factory=dict)
    fps: float | None = None
    timed: str = ""
    workers: int = 1
    note: str = ""
    error: str = ""
    matches: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The row from what :meth:`to_dict` gave."""
        return cls(**fields)
