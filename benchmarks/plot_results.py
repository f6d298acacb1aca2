"""Time and memory of an operator against the size of its inputs."""

import math

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from vqe_fast._memory import in_words
from vqe_fast.bench.format import seconds_in_words
from vqe_fast.bench.record import MEASURED

INK, MUTED, GRID = "#1f2430", "#5c6370", "#d9dce1"
OWN = "#c8452d"
COLOURS = ("#2f6fb0", "#3f8f5f", "#8a63b0", "#b58a1f", "#4c9aa6", "#7a6a5d", "#c06a9b", "#5c6370")
LEGEND = {"frameon": False, "fontsize": 9, "labelcolor": INK}
LEAST_SIZES = 3


def plotted(rows, operator):
    """The rows of the case that was measured at the most sizes; none if these are few."""
    series = {}
    for row in rows:
        if row.operator == operator and row.status == MEASURED and row.role != "yardstick":
            channels = row.shape[1] if operator == "attention" else None
            kind = (row.case, channels, row.dtype, row.direction, row.device)
            series.setdefault(kind, []).append(row)
    most = max(series.values(), key=lambda of: len({row.shape for row in of}), default=[])
    if operator == "model" or len({size_of(row) for row in most}) < LEAST_SIZES:
        return []
    return most


def size_of(row):
    """Positions of the queries, else values of the first input."""
    if row.operator == "attention":
        return row.shape[0] * math.prod(row.shape[2:])
    return math.prod(row.shape)


def draw(rows, operator, title):
    """Two panels, time and memory, both logarithmic, with a line for each implementation."""
    chosen = plotted(rows, operator)
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    names = list(dict.fromkeys(row.implementation for row in chosen))
    names.sort(key=lambda name: not name.startswith("vqe_fast"))
    others = iter(COLOURS * 2)
    for name in names:
        own = name == "vqe_fast"
        style = {"color": OWN if own else next(others), "linewidth": 2.6 if own else 1.4}
        style |= {"marker": "o", "markersize": 5 if own else 4, "zorder": 3 if own else 2}
        of = sorted((row for row in chosen if row.implementation == name), key=size_of)
        sizes = [size_of(row) for row in of]
        panels[0].plot(sizes, [row.median for row in of], label=name, **style)
        low, high = [row.p20 for row in of], [row.p80 for row in of]
        panels[0].fill_between(sizes, low, high, color=style["color"], alpha=0.15, linewidth=0)
        known = [(size, row.peak_bytes) for size, row in zip(sizes, of, strict=True)]
        known = [(size, peak) for size, peak in known if peak]
        panels[1].plot([size for size, _ in known], [peak for _, peak in known], **style)
    ticks = sorted({size_of(row) for row in chosen})
    _dress(panels[0], "time of a call", _time, LogLocator(10), ticks)
    _dress(panels[1], "memory beyond the inputs", in_words, LogLocator(16), ticks)
    figure.legend(*_by_time(panels[0]), loc="outside right", **LEGEND)
    first = chosen[0]
    direction = "forward" if first.direction == "forward" else "forward and backward"
    what = "positions" if operator == "attention" else "values of an input"
    channels = f", {first.shape[1]} channels" if operator == "attention" else ""
    heading = f"{title}: {first.case}{channels}, {first.dtype}, {direction}"
    figure.suptitle(heading, color=INK, fontsize=12)
    figure.supxlabel(what, color=INK, fontsize=10)
    return figure


def _by_time(panel):
    """Lines and their names, as they end from top to bottom."""
    lines = sorted(panel.get_lines(), key=lambda line: -line.get_ydata()[-1])
    return lines, [line.get_label() for line in lines]


def _time(seconds):
    """Of a tick, which is a power of ten."""
    number, unit = seconds_in_words(seconds * (1 + 1e-9)).split()
    return f"{float(number):g} {unit}"


def _dress(panel, label, words, locator, ticks):
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_title(label, color=INK, fontsize=10, loc="left")
    panel.yaxis.set_major_locator(locator)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_xticks(_apart(ticks), [_short(tick) for tick in _apart(ticks)])
    panel.set_xticks([], minor=True)
    panel.tick_params(colors=MUTED, length=0)
    panel.grid(color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[:].set_visible(False)


def _apart(ticks):
    """Those whose labels do not touch."""
    chosen = []
    for tick in ticks:
        if not chosen or tick > 2.3 * chosen[-1]:
            chosen.append(tick)
    return chosen


def _short(count):
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return str(count)
