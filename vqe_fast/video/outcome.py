"""What came of enhancing frames: of a whole video, or of one of its segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

from vqe_fast.video.qp.track import QPSource


@dataclass(frozen=True)
class Outcome:
    """Those figures of an :class:`~vqe_fast.video.report.EnhanceReport` that segments add up to.

    Attributes are those of the report.
    """

    frames_in: int
    frames_out: int
    frames_damaged: int
    damaged_packets: int
    extras: tuple[str, ...]
    precision: str
    qp_sources: dict[QPSource, int]
    duplicated: int
    scene_cuts: int | None
    tile: int | None
    tiles_exact: bool
    clip_frames: int | None
    timings: dict[str, float]
    peak_memory: int

    @classmethod
    def total(cls, outcomes: Sequence[Self]) -> Self:
        """Of all segments together, at least one."""
        cuts = [each.scene_cuts for each in outcomes if each.scene_cuts is not None]
        return cls(
            frames_in=sum(each.frames_in for each in outcomes),
            frames_out=sum(each.frames_out for each in outcomes),
            frames_damaged=sum(each.frames_damaged for each in outcomes),
            damaged_packets=sum(each.damaged_packets for each in outcomes),
            extras=tuple(sorted({extra for each in outcomes for extra in each.extras})),
            precision=outcomes[0].precision,
            qp_sources=_sum(each.qp_sources for each in outcomes),
            duplicated=sum(each.duplicated for each in outcomes),
            scene_cuts=sum(cuts) if cuts else None,
            tile=min((each.tile for each in outcomes if each.tile is not None), default=None),
            tiles_exact=all(each.tiles_exact for each in outcomes),
            clip_frames=min(
                (each.clip_frames for each in outcomes if each.clip_frames is not None),
                default=None,
            ),
            timings=_sum(each.timings for each in outcomes),
            peak_memory=max(each.peak_memory for each in outcomes),
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """What :meth:`to_dict` made, or JSON of it."""
        return cls(**fields | {"extras": tuple(fields["extras"])})


def _sum(amounts: Iterable[Any]) -> Any:
    total: Counter[str] = Counter()
    for each in amounts:
        total.update(cast("dict[str, int]", each))
    return dict(total)
