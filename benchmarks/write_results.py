"""Writes ``docs/results.md``: what the weights that ship do on clips they have never seen.

Run: ``make results VALIDATE=FOLDER``, or ``python benchmarks/write_results.py FOLDER``; when it was
interrupted it goes on. Tables come from the clips in FOLDER, pictures from the demo's footage.
"""

import argparse
import shutil
from collections import Counter
from itertools import chain
from pathlib import Path

from vqe_fast import Evaluation, evaluate
from vqe_fast._atomic_write import atomic_write
from vqe_fast.demonstration.demo import demonstrate
from vqe_fast.evaluation import write_results
from vqe_fast.evaluation.metrics_table import FIGURES
from vqe_fast.evaluation.report import conditions
from vqe_fast.evaluation.tables import (
    FRAME_RATE,
    WORST,
    Table,
    bjontegaard,
    failures,
    gains_by_family,
    gains_of_clips,
    main_tables,
    summary,
)
from vqe_fast.video.quality import DEFAULT_MODEL

DOCS = Path(__file__).parents[1] / "docs"
WORK = Path("runs/results")
MODELS = ["dualres_s", "carcnn_small", "galteri_very_fast", "spp"]
CODECS = "codecs"
MOST_LOSSES = 12

QUALITY = ["psnr_y", "ssim_y", "psnr_u", "psnr_v", "psnr_rgb"]
TIME = ["fluctuation", "peak_valley", "flicker"]

INTRODUCTION = """# Results

What the weights that ship with the package do on clips that they were not trained on, the first
{frames} frames of each. `spp` is FFmpeg's filter at its best strength for each setting, chosen on
these very clips. `dualres_s` was trained for all of these settings, luma and chroma,
`carcnn_small` for luma of x264 and x265 with their own order of frames, `galteri_very_fast` for
heavy compression alone (x264 CRF 35 to 47, x265 QP 37 and 42); where a model would do harm it is
applied in part or not at all, as `vqe-fast enhance` does. Made by
`make results VALIDATE=FOLDER` ([how it is measured](evaluation.md)); compare differences on the
same encodes only, never absolute figures with those of other papers."""

CROPS = """The demo's footage at x264 CRF 37: the crops that compression damaged most, whatever
came of them."""

LOSSES = """## Where they lose

Clips and settings at which luma loses PSNR: {counts}. The worst {shown}:"""


def main(folder: Path, frames: int) -> None:
    """Measures what is not measured yet, and writes the page with its pictures."""

    def run(settings: object, name: str) -> Evaluation:
        """One evaluation; all share their encodes."""
        print(name, flush=True)
        return evaluate(
            [folder],
            MODELS,
            settings,
            output=WORK / name,
            cache=WORK / "encodes",
            frames=frames,
            progress=lambda done, total: print(f"\r{done}/{total}", end="\n"[done < total :]),
        )

    codecs = run(CODECS, "codecs")
    papers = [run(name, name) for name in ("carcnn-240p", "pequenet")]
    pictures = DOCS / "results"
    pictures.mkdir(exist_ok=True)
    demonstrate(WORK / "demo")
    shutil.copy(WORK / "demo" / "before_after.png", pictures)
    write_results(codecs, WORK / "codecs")
    for name in ("gains.png", "rate_distortion.png"):
        shutil.copy(WORK / "codecs" / name, pictures)
    with atomic_write(DOCS / "results.md") as path:
        path.write_text(page(codecs, papers, frames), "utf-8")


def page(codecs: Evaluation, papers: list[Evaluation], frames: int) -> str:
    """The whole page."""
    blocks = [
        INTRODUCTION.format(frames=frames),
        "![ΔPSNR at each QP and CRF, with a dot for each clip](results/gains.png)",
        "![Rate and PSNR](results/rate_distortion.png)",
        CROPS,
        f"![Compressed, enhanced by {DEFAULT_MODEL}, original](results/before_after.png)",
        *section(gains_by_family(codecs)),
        # Not the frames per second, which are those of a busy processor.
        *section(summary(codecs, QUALITY).without(FRAME_RATE)),
        *section(bjontegaard(codecs)),
        *section(summary(codecs, TIME).without(WORST, FRAME_RATE), "Quality over time"),
        *chain.from_iterable(map(section, gains_of_clips(codecs))),
        *losses(codecs),
    ]
    for paper in papers:
        blocks += [f"## {paper.protocol.title}", *(f"> {note}" for note in paper.protocol.notes)]
        for table in main_tables(paper):
            blocks += [f"**{table.title}**", table.to_markdown()]
    for each in (codecs, *papers):
        blocks += section(failures(each))
    blocks += ["## Conditions", "\n".join(conditions(codecs))]
    return "\n\n".join(blocks) + "\n"


def section(table: Table | None, title: str | None = None) -> list[str]:
    """A table under its title; nothing if there is none."""
    return [] if table is None else [f"## {title or table.title}", table.to_markdown()]


def losses(evaluation: Evaluation) -> list[str]:
    """The clips and settings at which a model takes PSNR away."""
    gains = [
        (gain, row)
        for row in evaluation.rows
        if row.restorer != "none" and (gain := evaluation.gain(row, "psnr_y")) is not None
    ]
    lost = sorted(((gain, row) for gain, row in gains if gain < 0), key=lambda each: each[0])
    of = Counter(row.restorer for _, row in gains)
    losing = Counter(row.restorer for _, row in lost)
    counts = ", ".join(f"`{name}` {losing[name]} of {count}" for name, count in of.items())
    write = FIGURES["psnr_y"].write
    table = Table(
        "",
        ["clip", "setting", "", "ΔPSNR, dB"],
        [[r.clip, r.setting, r.restorer, write(g, signed=True)] for g, r in lost[:MOST_LOSSES]],
        left=3,
    )
    text = LOSSES.format(counts=counts, shown=min(len(lost), MOST_LOSSES))
    return [text, table.to_markdown()] if lost else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="pristine clips")
    parser.add_argument("--frames", type=int, default=24, help="of each, from the first on")
    arguments = parser.parse_args()
    main(arguments.folder, arguments.frames)
