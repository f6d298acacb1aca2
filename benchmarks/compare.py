"""``make bench-compare BASE=<ref>``: this checkout against another commit, side by side.

Run: ``python benchmarks/compare.py BASE [SUITE …]``. Builds both, and runs this package's rows of
the suites in turn, twice each: base, head, base, head. Each commit runs its own suites, of those
that both have; what both measured is compared. All operators take about ten minutes on two cores,
one of them about two.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from installing import BUILD, PIP
from results_file import read_journal
from rich.console import Console
from rich.table import Table
from stages import PYTEST, ROOT

from vqe_fast.bench.format import ratio_in_words, seconds_in_words

SUITES = ("attention", "block_match", "charbonnier", "fusion", "modulation", "ssim")
PASSES = 2


def compare(base, suites, device, tiny):
    """Prints the table; returns the exit status."""
    if not base:
        return _refuse("say which commit to compare with, such as BASE=HEAD~1")
    if not _has_file(base, "harness"):
        return _refuse(f"{base} is no commit with these benchmarks; choose a later one")
    if missing := [suite for suite in suites if not _has_file(base, f"bench_{suite}")]:
        print(f"left out: {base} has no suite {', '.join(missing)}", flush=True)
    if not (suites := [suite for suite in suites if suite not in missing]):
        return _refuse("nothing is left to compare; choose a later commit or other suites")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        trees = {"base": scratch / "tree", "head": ROOT}
        _git("worktree", "add", "--detach", "--force", str(trees["base"]), base)
        try:
            for name, tree in trees.items():
                print(f"building {name}", flush=True)
                _build(tree, scratch / name)
            for number in range(PASSES):
                for name, tree in trees.items():
                    print(f"measuring {name}, {number + 1} of {PASSES}", flush=True)
                    _measure(tree, scratch / name, suites, device, tiny)
            base_rows, head_rows = (best(scratch.glob(f"{name}/*.jsonl")) for name in trees)
        finally:
            _git("worktree", "remove", "--force", str(trees["base"]))
    Console().print(table(base_rows, head_rows))
    return 0


def best(journals):
    """Key → the row of the pass with the least median, its spread that of all passes."""
    found = {}
    for row in (row for path in journals for row in read_journal(path) if row.median):
        before = found.get(row.key, row)
        fastest = min(before, row, key=lambda each: each.median)
        found[row.key] = replace(
            fastest, p20=min(before.p20, row.p20), p80=max(before.p80, row.p80)
        )
    return found


def table(base, head):
    """A line for what both commits measured."""
    built = Table(box=None)
    built.add_column("what")
    for column in ("base", "head", "times as fast"):
        built.add_column(column, justify="right")
    for key in (key for key in base if key in head):
        before, after = base[key], head[key]
        shape = "×".join(map(str, after.shape))
        what = f"{after.case} {shape} {after.dtype} {after.direction} {after.implementation}"
        apart = before.p80 < after.p20 or after.p80 < before.p20
        ratio = ratio_in_words(before.median / after.median)
        built.add_row(
            what,
            seconds_in_words(before.median),
            seconds_in_words(after.median),
            f"[bold]{ratio}[/]" if apart else f"{ratio} (within the spread)",
        )
    return built


def _has_file(commit, name):
    command = ["git", "-C", str(ROOT), "cat-file", "-e", f"{commit}:benchmarks/{name}.py"]
    return subprocess.run(command, capture_output=True).returncode == 0


def _build(tree, site):
    command = [*PIP, "install", "--quiet", *BUILD, "--target", str(site), str(tree)]
    subprocess.run(command, check=True)


def _measure(tree, site, suites, device, tiny):
    command = [*PYTEST, "-q", *(f"benchmarks/bench_{suite}.py" for suite in suites)]
    command += ["--bench-own", "--bench-device", device]
    number = len(list(site.glob("*.jsonl")))
    command += ["--bench-journal", str(site / f"{number}.jsonl")] + ["--bench-tiny"] * tiny
    environment = os.environ | {"PYTHONPATH": str(site)}
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if run.returncode:
        print(run.stdout[-3000:], file=sys.stderr)


def _git(*arguments):
    command = ["git", "-C", str(ROOT), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def _refuse(sentence):
    print(f"vqe_fast: {sentence}", file=sys.stderr)
    return 2


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description="This checkout against another commit.")
    parser.add_argument("base", metavar="BASE", help="commit, branch or tag")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tiny", action="store_true", help="only whether everything works")
    asked = parser.parse_args()
    if unknown := set(asked.suites) - set(SUITES):
        parser.error(f"there is no suite {', '.join(unknown)}; choose of {', '.join(SUITES)}")
    return compare(asked.base, asked.suites or SUITES, asked.device, asked.tiny)


if __name__ == "__main__":
    sys.exit(main())
