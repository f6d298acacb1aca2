"""Record of a benchmark: the one schema of every row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

Direction = Literal["forward", "both"]
Role = Literal["own", "alternative", "yardstick"]

MEASURED = "measured"
NOT_INSTALLED = "not installed"
WRONG = "wrong"
FAILED = "failed"


@dataclass(frozen=True)
class Row:
    """Record of one implementation of one task, measured or not.

    Attributes:
        operator: ``attention``, ``block_match``, ``charbonnier``, ``fusion``, ``modulation``,
            ``ssim``; ``model``, ``training``, ``video`` or ``ceiling``.
        case: what exactly, such as ``astf_fuse, sharpened`` or the name of a model.
        shape: of the first input, or height and width of frames.
        dtype: of the arithmetic's inputs, such as ``float32``.
        direction: ``forward``, or ``both`` for forward and backward.
        device: ``cpu`` or ``cuda``.
        implementation: its name.
        role: ``own`` for this package's, ``alternative`` for what it is compared with,
            ``yardstick`` for what helps to understand the others.
        status: ``measured``, or why there is no time.
        rounds: calls that were timed.
        median: seconds of a call; None if there is no time.
        p20: a fifth of the calls took less.
        p80: a fifth of the calls took more.
        ratio: seconds of the best alternative of the same dtype for one second of this; None
            without one.
        peak_bytes: the most memory held during a call beyond what was held before it.
        work_bytes: the least that any implementation must read and write.
        work_flops: floating-point operations that any implementation must do.
        frames: of video, that a call makes.
        warp_error: mean absolute difference of luma, in steps of 1/255, after warping by the motion
            that was found; None for what finds none.
    """

    operator: str
    case: str
    shape: tuple[int, ...]
    dtype: str
    direction: Direction
    device: str
    implementation: str
    role: Role
    status: str = MEASURED
    rounds: int = 0
    median: float | None = None
    p20: float | None = None
    p80: float | None = None
    ratio: float | None = None
    peak_bytes: int | None = None
    work_bytes: int | None = None
    work_flops: int | None = None
    frames: int | None = None
    warp_error: float | None = None

    @property
    def group(self) -> tuple[object, ...]:
        """Key that rows measured side by side share."""
        return (self.operator, self.case, self.shape, self.direction, self.device)

    @property
    def key(self) -> tuple[object, ...]:
        """Key of the row, unique in a run."""
        return (*self.group, self.dtype, self.implementation)

    @property
    def is_red(self) -> bool:
        """Whether this package's own implementation is wrong or does not work."""
        return self.role == "own" and self.status.startswith((WRONG, FAILED))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Self:
        """The row from what :meth:`to_dict` made, or JSON of it.

        Raises:
            ValueError: fields are missing, unknown, or contradict each other.
        """
        names = {field.name for field in fields(cls)}
        found = {"warp_error": None} | found  # rows of older versions have none
        if found.keys() != names:
            differing = ", ".join(sorted(found.keys() ^ names))
            raise ValueError(f"a row has other fields than those of this version: {differing}")
        row = cls(**found | {"shape": tuple(found["shape"])})
        times = (row.median, row.p20, row.p80)
        if row.status == MEASURED:
            if None in times or row.rounds < 1 or not row.p20 <= row.median <= row.p80:  # type: ignore[operator]
                raise ValueError(f"the times of {row.key} are missing or out of order: {times}")
        elif times != (None, None, None) or row.ratio is not None:
            raise ValueError(f"{row.key} has a time, but was not measured: {row.status}")
        return row


def quantile(seconds: Sequence[float], share: float) -> float:
    """Quantile of some values, linearly interpolated."""
    ordered = sorted(seconds)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def timed(row: Row, seconds: Sequence[float]) -> Row:
    """``row`` with the statistics of its calls."""
    return replace(
        row,
        rounds=len(seconds),
        median=quantile(seconds, 0.5),
        p20=quantile(seconds, 0.2),
        p80=quantile(seconds, 0.8),
    )


def with_ratios(rows: Iterable[Row]) -> list[Row]:
    """Rows that were measured side by side, each with its ratio to the best alternative."""
    rows = list(rows)
    best: dict[tuple[object, ...], float] = {}
    for row in rows:
        if row.role == "alternative" and row.median is not None:
            kind = (*row.group, row.dtype)
            best[kind] = min(best.get(kind, row.median), row.median)

    def ratio(row: Row) -> float | None:
        least = best.get((*row.group, row.dtype))
        if row.role == "yardstick" or row.median is None or least is None:
            return None
        return least / row.median

    return [replace(row, ratio=ratio(row)) for row in rows]
