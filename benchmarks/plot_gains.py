"""Draws what the weights that ship gain on the validation clips: ``results/gains.png``.

Run: ``python benchmarks/plot_gains.py``; the figures are those of ``weights.toml``.
"""

from pathlib import Path

from matplotlib.figure import Figure

from vqe_fast.weights import shipped

TARGET = Path(__file__).parent / "results" / "gains.png"
INK, MUTED, GRID = "#1f2430", "#5c6370", "#d9dce1"
COLOURS = {"mean": "#2f6fb0", "worst": "#e0903a"}


def draw(name: str, measured: dict[str, dict[str, float]]) -> Figure:
    """One panel per encoder and mode: mean ΔPSNR over the clips, and that of the worst clip."""
    modes = list(dict.fromkeys(setting.rsplit(" ", 1)[0] for setting in measured))
    sizes = [sum(setting.startswith(mode) for setting in measured) for mode in modes]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, len(modes), sharey=True, width_ratios=sizes, squeeze=False)[0]
    for panel, mode in zip(panels, modes, strict=True):
        rows = {s.split()[-1]: g for s, g in measured.items() if s.startswith(mode)}
        places = range(len(rows))
        means = [gains["psnr_gain"] for gains in rows.values()]
        worst = [gains["worst_psnr_gain"] for gains in rows.values()]
        bars = panel.bar(places, means, 0.62, color=COLOURS["mean"], label="mean of the clips")
        panel.bar_label(bars, [f"{mean:+.2f}" for mean in means], padding=3, color=INK, fontsize=9)
        panel.scatter(places, worst, 46, COLOURS["worst"], marker="D", zorder=3, label="worst clip")
        panel.axhline(0, color=INK, linewidth=0.8)
        panel.set_xticks(places, list(rows))
        panel.set_xlabel(mode, color=INK, fontsize=11)
        panel.tick_params(colors=MUTED, length=0)
        panel.grid(axis="y", color=GRID, linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[:].set_visible(False)
    panels[0].set_ylabel("ΔPSNR of luma, dB", color=INK)
    panels[0].legend(frameon=False, fontsize=9, loc="upper left")
    panels[0].set_ylim(top=1.25 * max(gains["psnr_gain"] for gains in measured.values()))
    figure.suptitle(f"What {name} gains on clips it has never seen", color=INK, fontsize=12)
    return figure


if __name__ == "__main__":
    name, card = next(iter(shipped().items()))
    TARGET.parent.mkdir(exist_ok=True)
    draw(name, card["measured"]).savefig(TARGET, dpi=130)
    print(TARGET)
