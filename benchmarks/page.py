"""Writes ``RESULTS.md`` and its plots from every file in ``results/``.

Run: ``python benchmarks/page.py``; ``make bench`` does.
"""

import sys
from pathlib import Path

from plot_results import draw, plotted
from results_file import RESULTS, read, rows_of
from targets import verdicts

from vqe_fast._memory import in_words
from vqe_fast.bench.format import ratio_in_words, seconds_in_words
from vqe_fast.bench.record import MEASURED

PAGE = Path(__file__).parent / "RESULTS.md"
TITLES = {
    "attention": "Cross-frame attention",
    "block_match": "Block matching and warping",
    "charbonnier": "Charbonnier loss",
    "fusion": "ASTF's fusion",
    "modulation": "QP modulation",
    "ssim": "SSIM loss",
    "model": "Models",
    "training": "Training",
    "video": "From file to file",
}
INTRODUCTION = """\
# Results

Written by `make bench` and `python benchmarks/page.py` from the files in `results/`, not by hand.

Implementations of one thing are timed in turn within one run, on more inputs than the cache holds,
after each result was checked against float64; a wrong result gets no time. **Speed** is how many
times as fast as the best alternative of the same dtype a row is: ours in bold, above 1 where it
wins, below 1 where it loses. **Spread** is from the 20th to the 80th percentile of the calls.
**Memory** is what a call holds beyond its inputs. From run to run ratios vary by some ten percent;
absolute times are of that machine.
"""
DIRECTIONS = {"forward": "forward", "both": "forward and backward"}


def page(machines):
    """The text of the page.

    Args:
        machines: contents of results files, (file name's stem, content) each.
    """
    parts = [INTRODUCTION]
    if not any(content["machine"]["device"] == "cuda" for _, content in machines):
        parts.append("**No GPU has been measured yet.** What was asked of GPUs is open:\n")
        parts.append(targets_table([], "cuda", list(TITLES)))
    for stem, content in machines:
        parts += _machine(stem, content)
    return "\n".join(parts).rstrip() + "\n"


def _machine(stem, content):
    machine, versions, rows = content["machine"], content["versions"], rows_of(content)
    installed = (f"{name} {v}" for name, v in versions.items() if v != "not installed")
    absent = [name for name, version in versions.items() if version == "not installed"]
    yield f"## {machine['name']}, {machine['threads']} threads\n"
    facts = [f"Commit {content['commit']}, {content['datetime'][:10]}; {', '.join(installed)}."]
    if absent:
        facts.append(f"Not installed: {', '.join(absent)}.")
    yield "\n".join((*facts, *_ceilings(rows), *_unfinished(content["stages"]), ""))
    known = [operator for operator in TITLES if any(row.operator == operator for row in rows)]
    for operator in known:
        yield f"### {TITLES[operator]}\n"
        if table := targets_table(rows, machine["device"], [operator]):
            yield table
        if plotted(rows, operator):
            yield f"![Time and memory against size](results/{stem}-{operator}.png)\n"
        yield rows_table([row for row in rows if row.operator == operator])


def _ceilings(rows):
    for row in rows:
        if row.operator == "ceiling" and row.median:
            if row.work_bytes:
                rate = row.work_bytes / row.median / 1e9
                yield f"Copying moves {rate:.4g} GB/s (read and written)."
            else:
                rate = row.work_flops / row.median / 1e12
                yield f"Products of bfloat16 matrices run at {rate:.3g} TFLOP/s."


def _unfinished(stages):
    for stage in stages:
        if stage["outcome"] != "done":
            yield f"**{stage['name']}: {stage['outcome']}.**"


def targets_table(rows, device, operators):
    """What was asked, beside what was measured."""
    lines = ["| what | asked | measured | |", "|---|---|---|---|"]
    for operator, text, limit, measured, verdict in verdicts(rows, device, operators):
        title = "" if len(operators) == 1 else f"{TITLES[operator]}: "
        shown = f"**{verdict}**" if verdict == "missed" else verdict
        lines.append(f"| {title}{text} | {limit} | {measured} | {shown} |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


def rows_table(rows):
    """A line for each implementation, those that were measured side by side together."""
    groups = {}
    for row in rows:
        dtype = None if row.operator == "model" else row.dtype
        groups.setdefault((row.group, dtype), []).append(row)
    lines = [
        "| what | implementation | median | spread | speed | memory |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for group in groups.values():
        what = _what(group)
        for cells in [*_measured(group), *_unmeasured(group)]:
            lines.append(f"| {what} | {' | '.join(cells)} |")
            what = ""
    return "\n".join(lines) + "\n"


def _what(group):
    row = group[0]
    if row.operator in ("model", "video"):
        return f"{row.case} {row.shape[1]}×{row.shape[0]}"
    shape = ", ".join(map(str, row.shape))
    return f"{row.case} ({shape}) {row.dtype}, {DIRECTIONS[row.direction]}"


def _measured(group):
    """The cells of each row with a time, the fastest first."""
    rows = [row for row in group if row.status == MEASURED]
    return [_cells(row, group) for row in sorted(rows, key=lambda row: row.median)]


def _unmeasured(group):
    """The cells of those without, one line for each reason."""
    names = {}
    for row in group:
        if row.status != MEASURED:
            names.setdefault(row.status.replace("|", "/"), []).append(_name(row, group))
    return [[", ".join(of), reason, "", "", ""] for reason, of in names.items()]


def _name(row, group):
    name = row.implementation
    if len({each.dtype for each in group}) > 1 and " bf16" not in name:
        name = f"{name}, {row.dtype}"
    if row.role == "own":
        name = f"**{name}**"
    elif row.role == "yardstick":
        name = f"*{name}*"
    if row.warp_error is not None:
        name = f"{name}, warp error {row.warp_error:.2f}"
    return name


def _cells(row, group):
    median = seconds_in_words(row.median)
    if row.frames:
        median = f"{median} ({row.frames / row.median:.3g} fps)"
    ratio = "" if row.ratio is None else ratio_in_words(row.ratio)
    return [
        _name(row, group),
        median,
        _spread(row),
        f"**{ratio}**" if ratio and row.role == "own" else ratio,
        "" if row.peak_bytes is None else in_words(row.peak_bytes),
    ]


def _spread(row):
    if row.rounds == 1:
        return "one call"
    return f"{seconds_in_words(row.p20)} – {seconds_in_words(row.p80)}"


def main(folder=RESULTS, target=PAGE):
    """Writes the page, and the plots beside the files."""
    machines = [(path.stem, read(path)) for path in sorted(folder.glob("*.json"))]
    for stem, content in machines:
        rows = rows_of(content)
        for operator in TITLES:
            if plotted(rows, operator):
                figure = draw(rows, operator, TITLES[operator])
                figure.savefig(folder / f"{stem}-{operator}.png", dpi=110)
    target.write_text(page(machines), "utf-8")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"vqe_fast: {error}")
    print(PAGE)
