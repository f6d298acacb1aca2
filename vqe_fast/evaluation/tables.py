"""Tables of an evaluation, as cells of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vqe_fast.evaluation.averages import mean_of_known
from vqe_fast.evaluation.evaluation import Evaluation
from vqe_fast.evaluation.figures import FIGURES, Figure
from vqe_fast.evaluation.row import COMPRESSED

_NONE = "compressed"


@dataclass(frozen=True)
class Table:
    """A table.

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

    def to_markdown(self) -> str:
        """The table alone, without its title."""
        marks = ["---"] * self.left + ["---:"] * (len(self.header) - self.left)
        lines = [self.header, marks, *self.rows]
        return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def shown(restorer: str) -> str:
    """What tables call a restorer."""
    return _NONE if restorer == COMPRESSED else restorer


def main_tables(evaluation: Evaluation) -> list[Table]:
    """Those of the papers: one for each figure of the protocol."""
    layout = _by_setting if evaluation.protocol.layout == "settings" else _by_clip
    return [layout(evaluation, name, FIGURES[name]) for name in evaluation.tables]


def summary(evaluation: Evaluation, names: Sequence[str]) -> Table:
    """A line for each setting and restorer, means over the clips.

    Args:
        evaluation: what was measured.
        names: of the figures to show; those that no clip has are left out.
    """
    names = [
        name
        for name in names
        if any(mean.figures.get(name) is not None for mean in evaluation.means)
    ]
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
        for name in names:
            figure = FIGURES[name]
            cell = figure.write(mean.figures.get(name))
            gain = mean.gains.get(name)
            if mean.restorer != COMPRESSED and gain is not None:
                cell += f" ({figure.write(gain, signed=True)})"
            cells.append(cell)
        worst = (
            "–"
            if mean.worst is None or mean.restorer == COMPRESSED
            else FIGURES["psnr_y"].write(mean.worst[1], signed=True)
        )
        rows.append([*cells, worst, "–" if mean.fps is None else f"{mean.fps:.1f}"])
    header = ["setting", "", *(FIGURES[name].title for name in names)]
    return Table(
        "Means over the clips; in brackets the difference to the compressed clips",
        [*header, "worst clip's ΔPSNR", "frames/s"],
        rows,
        left=2,
        sections=sections,
    )


def bjontegaard(evaluation: Evaluation) -> Table | None:
    """BD-rate and BD-PSNR; None where there are too few settings for any."""
    if not any(delta.clips for delta in evaluation.deltas):
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
    ]
    title = "Bjøntegaard deltas of PSNR against the compressed clips, mean over the clips"
    return Table(title, ["settings", "", "BD-rate", "BD-PSNR", "clips"], rows, left=2)


def gains_of_clips(evaluation: Evaluation) -> Table:
    """ΔPSNR of luma of each clip, a line for each clip and restorer."""
    figure = FIGURES["psnr_y"]
    corner, columns = _columns(evaluation.settings)
    rows: list[list[str]] = []
    sections: list[int] = []
    for clip in evaluation.clips:
        sections.append(len(rows))
        for number, restorer in enumerate(evaluation.restorers[1:]):
            gains = (
                evaluation.gain(evaluation.row(clip, setting, restorer), "psnr_y")
                for setting in evaluation.settings
            )
            cells = [_marked(figure.write(gain, signed=True), gain) for gain in gains]
            rows.append(["" if number else clip, restorer, *cells])
    title = "ΔPSNR of luma of each clip, dB; losses in bold"
    return Table(title, [corner or "clip", "", *columns], rows, left=2, sections=sections)


def failures(evaluation: Evaluation) -> Table | None:
    """Rows without figures and why; None if there are none."""
    if not evaluation.failed:
        return None
    rows = [[row.clip, row.setting, row.restorer, row.error] for row in evaluation.failed]
    return Table("What failed", ["clip", "setting", "", "why"], rows, left=4)


def _by_setting(evaluation: Evaluation, name: str, figure: Figure) -> Table:
    """CAR-CNN's layout: restorers below each other, settings beside each other."""
    means = {(mean.setting, mean.restorer): mean for mean in evaluation.means}
    corner, columns = _columns(evaluation.settings)
    best = {
        setting: _best(
            (means[setting, restorer].figures.get(name) for restorer in evaluation.restorers),
            figure,
        )
        for setting in evaluation.settings
    }
    rows = []
    for restorer in evaluation.restorers:
        cells = [shown(restorer)]
        for setting in evaluation.settings:
            mean = means[setting, restorer]
            value, gain = mean.figures.get(name), mean.gains.get(name)
            text = figure.write(value)
            cell = f"**{text}**" if text == figure.write(best[setting]) != "–" else text
            if evaluation.protocol.gains and restorer != COMPRESSED and gain is not None:
                cell += f" ({figure.write(gain, signed=True)})"
            cells.append(cell)
        rows.append(cells)
    return Table(f"{figure.title}, mean over the clips", [corner, *columns], rows)


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


def _marked(text: str, gain: float | None) -> str:
    return f"**{text}**" if gain is not None and gain < 0 else text


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
