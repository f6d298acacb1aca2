"""The result of an evaluation: rows, means, gains and Bjøntegaard deltas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

from vqe_fast.evaluation.case import Case
from vqe_fast.evaluation.detection import Matches
from vqe_fast.evaluation.metrics_table import CHROMA
from vqe_fast.evaluation.protocol import Protocol
from vqe_fast.evaluation.row import COMPRESSED, Row
from vqe_fast.evaluation.setting import Setting
from vqe_fast.metrics import bd_psnr, bd_rate
from vqe_fast.metrics.averages import mean_of_damaged, mean_of_known


@dataclass(frozen=True)
class Mean:
    """Means of a restorer at a setting, over all clips that it restored.

    Attributes:
        setting: name of the degradation.
        restorer: its name.
        clips: how many were restored.
        asked: how many there are.
        figures: name → mean over the clips; mAP is that of all their detections together.
        gains: name → mean difference to the compressed clips, see :meth:`Evaluation.gain`.
        chroma_gain: mean ΔPSNR of chroma, see :meth:`Evaluation.chroma_gain`.
        worst: the clip that gains least PSNR of luma, and how much.
        fps: frames of all clips per second; None where nothing was run.
        timed: see :class:`vqe_fast.evaluation.row.Row`.
        note: the same, of the first clip.
    """

    setting: str
    restorer: str
    clips: int
    asked: int
    figures: Mapping[str, float | None]
    gains: Mapping[str, float | None]
    chroma_gain: float | None
    worst: tuple[str, float] | None
    fps: float | None
    timed: str
    note: str


@dataclass(frozen=True)
class Gains:
    """Gains of a restorer over one family of settings, over all clips that it restored, in dB.

    Attributes:
        family: what the settings have in common, such as ``x265 QP``.
        settings: their names.
        restorer: its name.
        restored: how many clips at how many settings it restored, together.
        asked: how many there are.
        luma: mean ΔPSNR of luma; None if compression changed none, here and below.
        worst: clip and setting that gain least of it, and how much.
        chroma: mean ΔPSNR of chroma.
    """

    family: str
    settings: Sequence[str]
    restorer: str
    restored: int
    asked: int
    luma: float | None
    worst: tuple[str, str, float] | None
    chroma: float | None


@dataclass(frozen=True)
class Delta:
    """Bjøntegaard deltas of a restorer over one family of settings, against the compressed clips.

    Attributes:
        family: what the settings have in common, such as ``x265 QP``.
        restorer: its name.
        clips: how many have them.
        asked: how many there are.
        bd_rate: mean over the clips, percent; None if no clip has one.
        bd_psnr: the same in dB.
        problem: why a clip has none; empty if all have.
    """

    family: str
    restorer: str
    clips: int
    asked: int
    bd_rate: float | None
    bd_psnr: float | None
    problem: str


@dataclass(frozen=True)
class Evaluation:
    """Rows of an evaluation, in the order clip, setting, restorer.

    Attributes:
        protocol: under which.
        rows: one for each clip, setting and restorer.
        cases: what was restored and measured.
        facts: versions, machine and date.
        extra_tables: figures that get a main table beside those of the protocol.
        remarks: what readers have to know of the clips, a sentence each.
    """

    protocol: Protocol
    rows: Sequence[Row]
    cases: Sequence[Case]
    facts: Mapping[str, Any]
    extra_tables: Sequence[str] = ()
    remarks: Sequence[str] = ()
    _by_name: Mapping[tuple[str, str, str], Row] = field(init=False, repr=False)
    _settings: Mapping[str, Setting] = field(init=False, repr=False)
    _cases: Mapping[tuple[str, str], Case] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_name = {(row.clip, row.setting, row.restorer): row for row in self.rows}
        object.__setattr__(self, "_by_name", by_name)
        settings = {case.setting.name: case.setting for case in reversed(self.cases)}
        object.__setattr__(self, "_settings", settings)
        cases = {(case.clip, case.setting.name): case for case in self.cases}
        object.__setattr__(self, "_cases", cases)

    @property
    def clips(self) -> list[str]:
        """Names of the clips."""
        return list(dict.fromkeys(row.clip for row in self.rows))

    @property
    def settings(self) -> list[str]:
        """Names of the settings."""
        return list(dict.fromkeys(row.setting for row in self.rows))

    @property
    def restorers(self) -> list[str]:
        """Names of the restorers; the first is the compressed clip."""
        return list(dict.fromkeys(row.restorer for row in self.rows))

    @property
    def failed(self) -> list[Row]:
        """Rows without figures."""
        return [row for row in self.rows if row.error]

    @property
    def tables(self) -> list[str]:
        """Metrics that get a main table."""
        return list(dict.fromkeys([*self.protocol.tables, *self.extra_tables]))

    @property
    def notes(self) -> list[str]:
        """What readers of the tables have to know: of protocol, clips and shared machines."""
        most = max((row.workers for row in self.rows if row.fps), default=1)
        shared = f"speeds compare with no others: up to {most} workers measured at the same time"
        return [*self.protocol.notes, *self.remarks, *([shared] if most > 1 else [])]

    def row(self, clip: str, setting: str, restorer: str) -> Row:
        """The row of a clip, a setting and a restorer."""
        return self._by_name[clip, setting, restorer]

    def gain(self, row: Row, figure: str) -> float | None:
        """Gain: a figure of a row less that of the compressed clip; None where one is missing.

        That of a PSNR is the mean over the frames that compression changed, in these planes.
        """
        compressed = self.row(row.clip, row.setting, COMPRESSED)
        if figure.startswith("psnr") and figure in row.frames and figure in compressed.frames:
            pairs = zip(compressed.frames[figure], row.frames[figure], strict=True)
            known = [(b, a) for b, a in pairs if b is not None and a is not None]
            return mean_of_damaged((b for b, _ in known), (a - b for b, a in known))
        before, after = compressed.figures.get(figure), row.figures.get(figure)
        return None if before is None or after is None else after - before

    def chroma_gain(self, row: Row) -> float | None:
        """ΔPSNR of chroma in dB: the mean of those of Cb and Cr that are known."""
        return mean_of_known(self.gain(row, name) for name in CHROMA)

    @cached_property
    def means(self) -> list[Mean]:
        """Means for each setting and restorer."""
        return [
            self._mean(setting, restorer)
            for setting in self.settings
            for restorer in self.restorers
        ]

    @cached_property
    def gains(self) -> list[Gains]:
        """Gains for each family of settings, and each restorer but the compressed clip."""
        return [
            self._gains(family, settings, restorer)
            for family, settings in self.families().items()
            for restorer in self.restorers[1:]
        ]

    @cached_property
    def deltas(self) -> list[Delta]:
        """For each family of at least two settings, and each restorer but the compressed clip."""
        return [
            self._delta(family, settings, restorer)
            for family, settings in self.families().items()
            if len(settings) > 1
            for restorer in self.restorers[1:]
        ]

    def families(self) -> dict[str, list[str]]:
        """Families: settings that differ in QP, CRF or quality only, by what they share."""
        families: dict[str, list[str]] = {}
        for setting in self.settings:
            families.setdefault(self.setting(setting).family, []).append(setting)
        return families

    def setting(self, name: str) -> Setting:
        """What is known of a setting."""
        return self._settings[name]

    def case(self, clip: str, setting: str) -> Case | None:
        """The case of a clip at a setting; None if there is no such compressed version."""
        return self._cases.get((clip, setting))

    def _mean(self, setting: str, restorer: str) -> Mean:
        asked = [self.row(clip, setting, restorer) for clip in self.clips]
        rows = [row for row in asked if not row.error]
        names = list(dict.fromkeys(name for row in rows for name in row.figures))
        figures = {name: mean_of_known(row.figures.get(name) for row in rows) for name in names}
        gains = {name: mean_of_known(self.gain(row, name) for row in rows) for name in names}
        if "map" in figures:
            figures["map"] = _pooled(rows)
            before = _pooled([self.row(row.clip, setting, COMPRESSED) for row in rows])
            both = figures["map"], before
            gains["map"] = None if None in both else (both[0] or 0.0) - (both[1] or 0.0)
        psnr_gains = [
            (gain, row.clip) for row in rows if (gain := self.gain(row, "psnr_y")) is not None
        ]
        worst = min(psnr_gains, default=None)
        timed = [row for row in rows if row.fps]
        seconds = sum(row.count / row.fps for row in timed if row.fps)
        return Mean(
            setting=setting,
            restorer=restorer,
            clips=len(rows),
            asked=len(asked),
            figures=figures,
            gains=gains,
            chroma_gain=mean_of_known(map(self.chroma_gain, rows)),
            worst=None if worst is None else (worst[1], worst[0]),
            fps=sum(row.count for row in timed) / seconds if timed else None,
            timed=timed[0].timed if timed else "",
            note=rows[0].note if rows else "",
        )

    def _gains(self, family: str, settings: Sequence[str], restorer: str) -> Gains:
        asked = [self.row(clip, name, restorer) for name in settings for clip in self.clips]
        rows = [row for row in asked if not row.error]
        luma = [
            (gain, row.clip, row.setting)
            for row in rows
            if (gain := self.gain(row, "psnr_y")) is not None
        ]
        worst = min(luma, default=None)
        return Gains(
            family=family,
            settings=settings,
            restorer=restorer,
            restored=len(rows),
            asked=len(asked),
            luma=mean_of_known(gain for gain, *_ in luma),
            worst=None if worst is None else (worst[1], worst[2], worst[0]),
            chroma=mean_of_known(map(self.chroma_gain, rows)),
        )

    def _delta(self, family: str, settings: Sequence[str], restorer: str) -> Delta:
        found: list[tuple[float, float]] = []
        problem = ""
        for clip in self.clips:
            rows = [self.row(clip, setting, restorer) for setting in settings]
            before = [self.row(clip, setting, COMPRESSED) for setting in settings]
            known = [row.bitrate for row in rows]
            quality = [row.figures.get("psnr_y") for row in rows]
            anchor = [row.figures.get("psnr_y") for row in before]
            try:
                rates = _known(known, "the size of a stream is not known")
                curves = {
                    "rates": rates,
                    "quality": _known(quality),
                    "anchor_rates": rates,
                    "anchor_quality": _known(anchor),
                }
                found.append((bd_rate(**curves), bd_psnr(**curves)))
            except ValueError as error:
                problem = problem or f"{clip}: {error}"
        return Delta(
            family=family,
            restorer=restorer,
            clips=len(found),
            asked=len(self.clips),
            bd_rate=fmean(rate for rate, _ in found) if found else None,
            bd_psnr=fmean(psnr for _, psnr in found) if found else None,
            problem=problem,
        )


def _known(
    values: Sequence[float | None], problem: str = "a setting was not measured"
) -> list[float]:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise ValueError(problem)
    return known


def _pooled(rows: Sequence[Row]) -> float | None:
    pooled = Matches()
    for row in rows:
        if row.matches is not None:
            pooled.merge(Matches.from_dict(row.matches))
    return pooled.mean_average_precision()
