"""Tables of an evaluation, as cells of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from vqe_fast.evaluation.metrics_table import CHROMA, FIGURES, Figure
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.row import COMPRESSED
from vqe_fast.metrics.averages import mean_of_known

WORST, FRAME_RATE = "worst clip's ΔPSNR", "frames/s"
"""Titles of columns of a :func:`summary`."""

_NONE = "compressed"


@dataclass(frozen=True)
class Table:
    """A table: title, columns and rows of text.

    Attributes:
        title: what it shows.
        header: of its columns.
        rows: cells.
        left: how many columns hold words rather than numbers.
        sections: numbers of the rows that begin a new part.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    sections: Sequence[int] = ()

    def without(self, *titles: str) -> Table:
        """The table less some columns."""
        kept = [place for place, title in enumerate(self.header) if title not in titles]
        lines = [[cells[place] for place in kept] for cells in (self.header, *self.rows)]
        return replace(self, header=lines[0], rows=lines[1:])

    def to_markdown(self) -> str:
        """The table in Markdown, without its title."""
        marks = ["---"] * self.left + ["---:"] * (len(self.header) - self.left)
        lines = [self.header, marks, *self.rows]
        return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def shown(restorer: str) -> str:
    """A restorer's title in tables."""
    return _NONE if restorer == COMPRESSED else restorer


def main_tables(evaluation: Evaluation) -> list[Table]:
    """The papers' tables: one for each metric of the protocol."""
    layouts = {"settings": _by_setting, "restorers": _by_restorer, "clips": _by_clip}
    layout = layouts[evaluation.protocol.layout]
    return [layout(evaluation, name, FIGURES[name]) for name in evaluation.tables]


def gains_by_family(evaluation: Evaluation) -> Table | None:
    """A line for each family of settings, such as a codec's QPs, and restorer; None without one."""
    if len(evaluation.restorers) == 1:
        return None
    rows: list[list[str]] = []
    sections: list[int] = []
    family = ""
    for gains in evaluation.gains:
        if gains.family != family:
            sections.append(len(rows))
        values = {name: evaluation.setting(name).value for name in gains.settings}
        listed = ", ".join(str(value) for value in values.values() if value is not None)
        title = f"{gains.family}: {listed}" if listed else gains.family
        name = gains.restorer
        if gains.restored < gains.asked:
            name += f" ({gains.restored} of {gains.asked})"
        worst = "–"
        if gains.worst is not None:
            clip, setting, least = gains.worst
            place = f"{clip} at {values[setting]}" if listed else clip
            worst = f"{_gain(least)} ({place})"
        cells = [name, _gain(gains.luma), worst, _gain(gains.chroma)]
        rows.append([title if gains.family != family else "", *cells])
        family = gains.family
    return Table(
        "ΔPSNR by codec, dB, mean over clips and settings; losses in bold",
        ["settings", "", "luma", "worst clip, luma", "chroma"],
        rows,
        left=2,
        sections=sections,
    )


def summary(evaluation: Evaluation, names: Sequence[str]) -> Table:
    """Table of means over the clips: a line for each setting and restorer.

    Args:
        evaluation: what was measured.
        names: of the figures to show, those of chroma with their common gain; those that no clip
            has are left out.
    """
    names = [
        name
        for name in names
        if any(mean.figures.get(name) is not None for mean in evaluation.means)
    ]
    figures = [FIGURES[name] for name in names]
    luma = FIGURES["psnr_y"]
    with_chroma = not set(CHROMA).isdisjoint(names)
    rows: list[list[str]] = []
    sections: list[int] = []
    setting = ""
    for mean in evaluation.means:
        if mean.setting != setting:
            sections.append(len(rows))
        cells = [mean.setting if mean.setting != setting else "", shown(mean.restorer)]
        setting = mean.setting
        if mean.clips < mean.asked:
            cells[1] += f" ({mean.clips} of {mean.asked} clips)"
        is_restored = mean.restorer != COMPRESSED
        for name, figure in zip(names, figures, strict=True):
            gain = mean.gains.get(name) if is_restored else None
            cells.append(_with_gain(figure, mean.figures.get(name), gain))
        worst = mean.worst[1] if mean.worst is not None and is_restored else None
        cells.append(luma.write(worst, signed=True))
        if with_chroma:
            cells.append(luma.write(mean.chroma_gain if is_restored else None, signed=True))
        rows.append([*cells, "–" if mean.fps is None else _rate(mean.fps)])
    last = [WORST, *(["ΔPSNR of chroma"] if with_chroma else []), FRAME_RATE]
    return Table(
        "Means over the clips; in brackets the difference to the compressed clips",
        ["setting", "", *(figure.title for figure in figures), *last],
        rows,
        left=2,
        sections=sections,
    )


def asked_measures(evaluation: Evaluation) -> Table | None:
    """Table of the measures that were asked for by name, a line for each setting and measure.

    Restorers stand beside each other, so that it fits a terminal whatever was asked for. None if
    nothing was.
    """
    if not evaluation.extra_tables:
        return None
    rows: list[list[str]] = []
    sections: list[int] = []
    lines = {name: _lines(evaluation, name, FIGURES[name]) for name in evaluation.extra_tables}
    for number, setting in enumerate(evaluation.settings):
        sections.append(len(rows))
        for name, cells in lines.items():
            figure = FIGURES[name]
            title = f"{figure.title} {'↑' if figure.more_is_better else '↓'}"
            first = setting if len(rows) == sections[-1] else ""
            rows.append([first, title, *cells[number]])
    return Table(
        "Measures asked for, mean over the clips; ↑ more is better, ↓ less",
        ["setting", "", *map(shown, evaluation.restorers)],
        rows,
        left=2,
        sections=sections,
    )


def bjontegaard(evaluation: Evaluation) -> Table | None:
    """Table of BD-rate and BD-PSNR, for families with enough settings; None if there is none."""
    families = {delta.family for delta in evaluation.deltas if delta.clips}
    if not families:
        return None
    rows = [
        [
            delta.family,
            delta.restorer,
            "–" if delta.bd_rate is None else f"{delta.bd_rate:+.1f} %",
            "–" if delta.bd_psnr is None else f"{delta.bd_psnr:+.2f} dB",
            f"{delta.clips} of {delta.asked}",
        ]
        for delta in evaluation.deltas
        if delta.family in families
    ]
    title = "Bjøntegaard deltas of PSNR against the compressed clips, mean over the clips"
    return Table(title, ["settings", "", "BD-rate", "BD-PSNR", "clips"], rows, left=2)


def gains_of_clips(evaluation: Evaluation) -> list[Table]:
    """Tables of each clip's ΔPSNR of luma, one for each family of settings."""
    if len(evaluation.restorers) == 1:
        return []
    return [
        _gains_of_clips(evaluation, family, settings)
        for family, settings in evaluation.families().items()
    ]


def failures(evaluation: Evaluation) -> Table | None:
    """Table of failed rows and their errors; None if there are none."""
    if not evaluation.failed:
        return None
    rows = [[row.clip, row.setting, row.restorer, row.error] for row in evaluation.failed]
    return Table("What failed", ["clip", "setting", "", "why"], rows, left=4)


def _gains_of_clips(evaluation: Evaluation, family: str, settings: Sequence[str]) -> Table:
    corner, columns = _columns(settings)
    rows: list[list[str]] = []
    sections: list[int] = []
    for clip in evaluation.clips:
        sections.append(len(rows))
        for number, restorer in enumerate(evaluation.restorers[1:]):
            cells = (
                _gain(evaluation.gain(evaluation.row(clip, setting, restorer), "psnr_y"))
                for setting in settings
            )
            rows.append(["" if number else clip, restorer, *cells])
    title = f"ΔPSNR of luma of each clip at {family}, dB; losses in bold"
    return Table(title, [corner or "clip", "", *columns], rows, left=2, sections=sections)


def _by_setting(evaluation: Evaluation, name: str, figure: Figure) -> Table:
    """CAR-CNN's layout: restorers below each other, settings beside each other."""
    corner, columns = _columns(evaluation.settings)
    lines = zip(*_lines(evaluation, name, figure), strict=True)
    rows = [[shown(each), *cells] for each, cells in zip(evaluation.restorers, lines, strict=True)]
    return Table(f"{figure.title}, mean over the clips", [corner, *columns], rows)


def _by_restorer(evaluation: Evaluation, name: str, figure: Figure) -> Table:
    """Settings below each other, restorers beside each other."""
    lines = _lines(evaluation, name, figure)
    rows = [[each, *cells] for each, cells in zip(evaluation.settings, lines, strict=True)]
    header = ["setting", *map(shown, evaluation.restorers)]
    return Table(f"{figure.title}, mean over the clips", header, rows)


def _lines(evaluation: Evaluation, name: str, figure: Figure) -> list[list[str]]:
    """For each setting a cell for each restorer, the best in bold."""
    means = {(mean.setting, mean.restorer): mean for mean in evaluation.means}
    lines = []
    for setting in evaluation.settings:
        own = [means[setting, restorer] for restorer in evaluation.restorers]
        best = figure.write(_best((mean.figures.get(name) for mean in own), figure))
        cells = []
        for mean in own:
            is_shown = evaluation.protocol.gains and mean.restorer != COMPRESSED
            gain = mean.gains.get(name) if is_shown else None
            cells.append(_with_gain(figure, mean.figures.get(name), gain, best))
        lines.append(cells)
    return lines


def _by_clip(evaluation: Evaluation, name: str, figure: Figure) -> Table:
    """PeQuENet's layout: for each setting a line for each clip and their mean."""
    with_gain = evaluation.protocol.gains
    rows: list[list[str]] = []
    sections = []
    for setting in evaluation.settings:
        sections.append(len(rows))
        columns: list[list[float | None]] = []
        for restorer in evaluation.restorers:
            of_clips = [evaluation.row(clip, setting, restorer) for clip in evaluation.clips]
            columns.append([row.figures.get(name) for row in of_clips])
            if with_gain and restorer != COMPRESSED:
                columns.append([evaluation.gain(row, name) for row in of_clips])
        signed = [False, *[False, True] * len(columns)] if with_gain else [False] * len(columns)
        for number, (clip, *values) in enumerate(zip(evaluation.clips, *columns, strict=True)):
            rows.append(["" if number else setting, clip, *_written(figure, values, signed)])
        means = _written(figure, [mean_of_known(column) for column in columns], signed)
        rows.append(["", *(f"**{cell}**" for cell in ("mean", *means))])
    header = [_NONE]
    for restorer in evaluation.restorers[1:]:
        header += [restorer, "Δ"] if with_gain else [restorer]
    return Table(figure.title, ["setting", "clip", *header], rows, left=2, sections=sections)


def _written(figure: Figure, values: Sequence[float | None], signed: Sequence[bool]) -> list[str]:
    return [figure.write(value, signed=sign) for value, sign in zip(values, signed, strict=False)]


def _columns(settings: Sequence[str]) -> tuple[str, list[str]]:
    """What all names of settings begin and end with, and what is between."""
    words = [setting.split() for setting in settings]
    shortest = min(map(len, words)) - 1
    before = _common(words, lambda line, index: line[index], shortest)
    after = _common(words, lambda line, index: line[-1 - index], shortest - len(before))[::-1]
    between = [line[len(before) : len(line) - len(after)] for line in words]
    common = " ".join([*before, *(["…", *after] if after else [])])
    return common, [" ".join(line) for line in between]


def _common(
    words: Sequence[Sequence[str]], at: Callable[[Sequence[str], int], str], most: int
) -> list[str]:
    common: list[str] = []
    while len(common) < most and len({at(line, len(common)) for line in words}) == 1:
        common.append(at(words[0], len(common)))
    return common


def _best(values: Iterable[float | None], figure: Figure) -> float | None:
    known = [value for value in values if value is not None]
    return (max if figure.more_is_better else min)(known, default=None)


def _rate(fps: float) -> str:
    """Frames a second; of less than one the first two digits."""
    return f"{fps:.1f}" if fps >= 1 else f"{fps:.2g}"


def _with_gain(
    figure: Figure, value: float | None, gain: float | None, best: str | None = None
) -> str:
    """A value, bold if it reads as the best does, and in brackets what was gained, if given."""
    text = figure.write(value)
    cell = f"**{text}**" if text == best != "–" else text
    return cell if gain is None else f"{cell} ({figure.write(gain, signed=True)})"


def _gain(gain: float | None) -> str:
    """ΔPSNR, losses in bold."""
    text = FIGURES["psnr_y"].write(gain, signed=True)
    return f"**{text}**" if gain is not None and gain < 0 else text


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
