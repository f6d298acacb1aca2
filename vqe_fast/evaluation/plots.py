"""Plots of an evaluation, as PNG."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from vqe_fast._atomic_write import atomic_write
from vqe_fast.evaluation.metrics_table import FIGURES
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.row import COMPRESSED, Row
from vqe_fast.evaluation.tables import shown

FRAMES_FOLDER = "frames"
"""Folder of the plots over time, one for each clip."""

_INK, _MUTED, _GRID = "#1f2430", "#5c6370", "#d9dce1"
_COMPRESSED = "#8a8f98"
_COLOURS = ("#2f6fb0", "#d9822b", "#3a8f5c", "#c8443c", "#7d5ba6", "#8c6d46", "#c2589b", "#2b8f9c")
_TYPES = {"I": "#c8443c", "P": "#2f6fb0", "B": "#8fb8de", "?": "#d9dce1"}
_DPI = 120


def draw(evaluation: Evaluation, folder: Path) -> None:
    """Writes ``rate_distortion.png``, ``gains.png`` and a plot over time of each clip.

    Measures that were asked for by name have curves of rate too, ``rate_vmaf.png`` and its like.
    Where no bit rate is known there is no curve of rate, and without a model no gain.

    Args:
        evaluation: what was measured.
        folder: that exists.
    """
    if any(row.bitrate is not None for row in evaluation.rows):
        _save(_rate_distortion(evaluation, "psnr_y"), folder / "rate_distortion.png")
        for name in evaluation.extra_tables:
            _save(_rate_distortion(evaluation, name), folder / f"rate_{name}.png")
    if len(evaluation.restorers) > 1:
        _save(_gains(evaluation), folder / "gains.png")
    (folder / FRAMES_FOLDER).mkdir(exist_ok=True)
    for clip in evaluation.clips:
        slug = re.sub(r"[^\w.-]+", "_", clip)
        _save(_over_time(evaluation, clip), folder / FRAMES_FOLDER / f"{slug}.png")


def _rate_distortion(evaluation: Evaluation, name: str) -> Figure:
    families = evaluation.families()
    figure, panels = _panels(families, 3.6)
    for panel, (family, settings) in zip(panels, families.items(), strict=True):
        for restorer in evaluation.restorers:
            points = [_point(evaluation, setting, restorer, name) for setting in settings]
            known = sorted(point for point in points if point is not None)
            if known:
                rates, qualities = zip(*known, strict=True)
                panel.plot(rates, qualities, **_line(evaluation, restorer), marker="o")
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_locator(MaxNLocator(1))
        panel.minorticks_off()
        _style(panel, family, "kbit/s, geometric mean of the clips")
    measure = FIGURES[name]
    title = "PSNR of luma, dB" if name == "psnr_y" else measure.title
    panels[0].set_ylabel(title, color=_INK)
    _legend(panels[0], "lower right" if name == "psnr_y" else "best")
    return figure


def _gains(evaluation: Evaluation) -> Figure:
    families = evaluation.families()
    figure, panels = _panels(families, 3.4, share=True)
    for panel, (family, settings) in zip(panels, families.items(), strict=True):
        values = [evaluation.setting(setting).value or 0 for setting in settings]
        places = range(len(settings))
        for number, restorer in enumerate(evaluation.restorers[1:]):
            shift = 0.08 * (number - (len(evaluation.restorers) - 2) / 2)
            gains = [_clip_gains(evaluation, setting, restorer) for setting in settings]
            line = _line(evaluation, restorer)
            known = [
                (place, fmean(each)) for place, each in zip(places, gains, strict=True) if each
            ]
            if known:
                across, means = zip(*known, strict=True)
                panel.plot([x + shift for x in across], means, **line, marker="o", zorder=3)
            for place, each in zip(places, gains, strict=True):
                panel.scatter([place + shift] * len(each), each, 9, line["color"], alpha=0.35)
        panel.axhline(0, color=_INK, linewidth=0.8)
        panel.set_xticks(list(places), [str(value) for value in values])
        panel.set_xlim(-0.5, len(settings) - 0.5)
        _style(panel, family, (evaluation.setting(settings[0]).mode or "").upper())
    panels[0].set_ylabel("ΔPSNR of luma, dB", color=_INK)
    _legend(panels[0], "best")
    return figure


def _over_time(evaluation: Evaluation, clip: str) -> Figure:
    """A panel for each setting: PSNR of each frame, and below it the types of the frames."""
    settings = evaluation.settings
    figure = Figure(figsize=(10, 0.7 + 1.75 * len(settings)), layout="constrained")
    panels = figure.subplots(len(settings), 1, sharex=True, squeeze=False)[:, 0]
    for panel, setting in zip(panels, settings, strict=True):
        rows = [evaluation.row(clip, setting, restorer) for restorer in evaluation.restorers]
        for row in rows:
            if row.frames:
                panel.plot(_psnrs(row), **_line(evaluation, row.restorer) | {"linewidth": 1.2})
        case = evaluation.case(clip, setting)
        types = "" if case is None else case.stream.types
        for kind, colour in _TYPES.items():
            numbers = [number for number, each in enumerate(types) if each == kind]
            if numbers:
                panel.scatter(
                    numbers,
                    [0.03] * len(numbers),
                    14,
                    colour,
                    marker="s",
                    transform=panel.get_xaxis_transform(),
                    label=f"{kind} frame" if kind != "?" else "frame of unknown type",
                )
        panel.margins(x=0.01, y=0.18)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        _style(panel, setting, "")
    panels[-1].set_xlabel("frame", color=_INK)
    figure.supylabel("PSNR of luma, dB", color=_INK, fontsize=10)
    handles, labels = _unique(panels)
    figure.legend(handles, labels, ncols=8, frameon=False, fontsize=8.5, loc="outside lower center")
    figure.suptitle(clip, color=_INK, fontsize=11, x=0.01, ha="left")
    return figure


def _panels(
    families: dict[str, list[str]], height: float, *, share: bool = False
) -> tuple[Figure, Sequence[Axes]]:
    """A panel for each family, up to three beside each other."""
    columns = min(len(families), 3)
    lines = -(-len(families) // columns)
    figure = Figure(figsize=(1.2 + 3.9 * columns, height * lines), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False, sharey=share).flat)
    for empty in panels[len(families) :]:
        empty.set_visible(False)
    return figure, panels[: len(families)]


def _style(panel: Axes, title: str, across: str) -> None:
    panel.set_title(title, color=_INK, fontsize=10, loc="left")
    panel.set_xlabel(across, color=_INK, fontsize=9)
    panel.tick_params(colors=_MUTED, length=0, labelsize=8.5)
    panel.grid(color=_GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.spines[:].set_visible(False)


def _legend(panel: Axes, place: Literal["best", "lower right"]) -> None:
    if panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=8.5, loc=place)


def _unique(panels: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    """Each entry of the legends of all panels once."""
    found: dict[str, Artist] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _line(evaluation: Evaluation, restorer: str) -> dict[str, Any]:
    """Colour, width and name of a restorer's line: the same in all plots."""
    others = evaluation.restorers[1:]
    colour = _COMPRESSED if restorer == COMPRESSED else _COLOURS[others.index(restorer) % 8]
    style = "--" if restorer == COMPRESSED else "-"
    return {
        "color": colour,
        "linestyle": style,
        "linewidth": 1.6,
        "markersize": 4,
        "label": shown(restorer),
    }


def _point(
    evaluation: Evaluation, setting: str, restorer: str, name: str
) -> tuple[float, float] | None:
    """Bit rate and a figure over the clips that were restored at this setting."""
    rows = [evaluation.row(clip, setting, restorer) for clip in evaluation.clips]
    known = [
        (row.bitrate, value)
        for row in rows
        if (value := row.figures.get(name)) is not None and row.bitrate is not None
    ]
    if not known:
        return None
    rates, qualities = zip(*known, strict=True)
    return float(np.exp(np.log(rates).mean())), fmean(qualities)


def _clip_gains(evaluation: Evaluation, setting: str, restorer: str) -> list[float]:
    gains = (
        evaluation.gain(evaluation.row(clip, setting, restorer), "psnr_y")
        for clip in evaluation.clips
    )
    return [gain for gain in gains if gain is not None]


def _psnrs(row: Row) -> list[float]:
    return [value or 0.0 for value in row.frames["psnr_y"]]


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=_DPI, format="png")
