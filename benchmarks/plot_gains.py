"""Draws what the default weights gain on the validation clips: ``results/gains.png``.

Run: ``python benchmarks/plot_gains.py``; the figures are those of ``weights.toml``, from QP and CRF
20 up.
"""

import re
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vqe_fast.video.quality import DEFAULT_MODEL
from vqe_fast.weights import shipped

TARGET = Path(__file__).parent / "results" / "gains.png"
INK, MUTED, GRID = "#1f2430", "#5c6370", "#d9dce1"
LUMA, WORST, CHROMA = "#2f6fb0", "#e0903a", "#8a5fb0"
SETTING = re.compile(r"(?P<encoder>\S+) (?P<mode>QP|CRF) (?P<value>\d+) ?(?P<structure>.*)")
LEAST_VALUE = 20

Gains = dict[str, float]


def by_panel(measured: dict[str, Gains]) -> dict[str, dict[str, Gains]]:
    """Title of a panel (encoder, mode and structure) → QP or CRF → gains."""
    panels: dict[str, dict[str, Gains]] = {}
    for setting, gains in measured.items():
        found = SETTING.fullmatch(setting)
        if found is None:
            raise ValueError(f"{setting!r} is not an encoder with a QP or CRF")
        encoder, mode, value, structure = found.groups()
        if int(value) >= LEAST_VALUE:
            title = f"{encoder} {mode}" + (f"\n{structure}" if structure else "")
            panels.setdefault(title, {})[value] = gains
    return panels


def draw_bars(axes: Axes, rows: dict[str, Gains], plane: str, colour: str) -> None:
    """The mean ΔPSNR of a plane at each QP or CRF."""
    means = [gains[plane] for gains in rows.values()]
    bars = axes.bar(list(rows), means, 0.7, color=colour, label="mean of the clips")
    axes.bar_label(bars, [f"{mean:+.2f}" for mean in means], padding=3, color=INK, fontsize=8)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.tick_params(colors=MUTED, length=0)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.margins(y=0.15)


def draw(name: str, measured: dict[str, Gains]) -> Figure:
    """Mean ΔPSNR over the clips, that of the worst clip, and below it that of chroma."""
    panels = by_panel(measured)
    figure = Figure(figsize=(12, 5.4), layout="constrained")
    upper, lower = figure.subplots(
        2,
        len(panels),
        sharex="col",
        sharey="row",
        squeeze=False,
        gridspec_kw={"width_ratios": [len(rows) + 0.4 for rows in panels.values()]},
    )
    for luma, chroma, (title, rows) in zip(upper, lower, panels.items(), strict=True):
        draw_bars(luma, rows, "psnr_gain", LUMA)
        worst = [gains["worst_psnr_gain"] for gains in rows.values()]
        luma.scatter(list(rows), worst, 34, WORST, marker="D", zorder=3, label="worst clip")
        draw_bars(chroma, rows, "chroma_gain", CHROMA)
        chroma.set_xlabel(title, color=INK, fontsize=10)
    upper[0].set_ylabel("ΔPSNR of luma, dB", color=INK)
    lower[0].set_ylabel("ΔPSNR of chroma, dB", color=INK)
    upper[0].legend(frameon=False, fontsize=9, loc="upper left")
    figure.suptitle(f"What {name} gains on clips it has never seen", color=INK, fontsize=12)
    return figure


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    draw(DEFAULT_MODEL, shipped()[DEFAULT_MODEL]["measured"]).savefig(TARGET, dpi=130)
    print(TARGET)
