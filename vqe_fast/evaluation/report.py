"""Report of an evaluation in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vqe_fast.evaluation.metrics_table import CHROMA
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.row import COMPRESSED
from vqe_fast.evaluation.tables import (
    WORST,
    asked_measures,
    bjontegaard,
    failures,
    gains_by_family,
    gains_of_clips,
    main_tables,
    summary,
)

_QUALITY = ("psnr_y", "ssim_y", "ms_ssim_y", *CHROMA, "psnr_rgb", "ssim_rgb", "ms_ssim_rgb")
_TIME = ("fluctuation", "peak_valley", "flicker")


def to_markdown(evaluation: Evaluation) -> str:
    """The report: gains by codec, the protocol's tables, means, BD-rates, clips, conditions."""
    protocol = evaluation.protocol
    blocks = [f"# {protocol.title}"]
    blocks += [f"> {note}" for note in evaluation.notes]
    over_time = summary(evaluation, _TIME).without(WORST)
    tables = [
        gains_by_family(evaluation),
        *main_tables(evaluation),
        summary(evaluation, _QUALITY),
        asked_measures(evaluation),
        replace(over_time, title="Quality over time"),
        bjontegaard(evaluation),
        *gains_of_clips(evaluation),
        failures(evaluation),
    ]
    for table in tables:
        if table is not None:
            blocks += [f"## {table.title}", table.to_markdown()]
    blocks.append("## Conditions\n\n" + "\n".join(conditions(evaluation)))
    return "\n\n".join(blocks) + "\n"


def conditions(evaluation: Evaluation) -> list[str]:
    """Clips, versions, machine and what was compared, a line of a list each."""
    facts = evaluation.facts
    frames = {case.clip: case.count for case in evaluation.cases}
    lines = [
        f"- {sum(frames.values())} frames at each setting: "
        + ", ".join(f"{clip} ({count})" for clip, count in frames.items()),
        f"- vqe_fast {facts['vqe_fast']}, torch {facts['torch']}, {facts['date']}",
        f"- {facts['machine']}",
        *(f"- {codec}: {version}" for codec, version in facts["encoders"].items()),
    ]
    if lost := facts.get("workers_lost"):
        lines.append(f"- workers that died, whose rows others began anew: {lost}")
    lines += [f"- {name}: {_described(about)}" for name, about in facts["measures"].items()]
    for restorer, about in facts["restorers"].items():
        if restorer != COMPRESSED:
            notes = {
                mean.setting: mean.note
                for mean in evaluation.means
                if mean.restorer == restorer and mean.note
            }
            lines.append(f"- {restorer}: {_described(about)}{_noted(notes)}")
    return lines


def _described(about: Mapping[str, Any]) -> str:
    """What identifies a restorer, hashes and tables shortened: ``results.json`` has them whole."""
    parts = []
    if "strengths" in about:
        count = len(about["strengths"])
        parts.append(
            f"the strength, of {count}, with the greatest PSNR at each setting, mean over these "
            "very clips"
        )
    for key, value in about.items():
        if key in ("kind", "strengths") or value in (None, "", {}):
            continue
        if key == "strength":
            parts.append("less than its whole correction where its card says so")
        else:
            text = f"`{shlex.join(value)}`" if key == "words" else str(value)
            is_hash = key in ("weights", "network", "sha256")
            parts.append(f"{key} {text[:16]}…" if is_hash else f"{key} {text}")
    return ", ".join(parts)


def _noted(notes: Mapping[str, str]) -> str:
    """What there is to know of each setting, once if it is the same for all."""
    if len(set(notes.values())) <= 1:
        return "".join(f"; {note}" for note in set(notes.values()))
    return "; " + ", ".join(f"{setting}: `{note}`" for setting, note in notes.items())
