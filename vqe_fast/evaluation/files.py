"""Files of an evaluation; each gets its name when it is complete."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vqe_fast._atomic_write import atomic_write
from vqe_fast.evaluation.metrics_table import FIGURES
from vqe_fast.evaluation.report import to_markdown
from vqe_fast.evaluation.result import Evaluation
from vqe_fast.evaluation.row import COMPRESSED

REPORT_NAME = "report.md"


def write_results(evaluation: Evaluation, target: str | os.PathLike[str]) -> None:
    """Writes ``rows.csv``, ``frames.csv``, ``results.json``, ``report.md`` and the plots.

    Args:
        evaluation: what was measured.
        target: the folder, made if it does not exist.
    """
    from vqe_fast.evaluation.plots import draw

    folder = Path(target)
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(list(_rows(evaluation)), folder / "rows.csv")
    _write_csv(list(_frames(evaluation)), folder / "frames.csv")
    with atomic_write(folder / "results.json") as path:
        path.write_text(json.dumps(_results(evaluation), indent=1) + "\n", "utf-8")
    with atomic_write(folder / REPORT_NAME) as path:
        path.write_text(to_markdown(evaluation), "utf-8")
    draw(evaluation, folder)


def _rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    names = _measured(evaluation)
    for row in evaluation.rows:
        setting = evaluation.setting(row.setting)
        line: dict[str, Any] = {
            "clip": row.clip,
            "setting": row.setting,
            "codec": setting.codec,
            "mode": setting.mode,
            "value": setting.value,
            "max_bitrate": setting.max_bitrate,
            "restorer": row.restorer,
            **_colours(evaluation),
            "frames": row.count,
            "kbit_per_s": None if row.bitrate is None else round(row.bitrate, 3),
        }
        line |= {name: row.figures.get(name) for name in names}
        if row.restorer == COMPRESSED:
            line |= dict.fromkeys((f"{name}_gain" for name in (*names, "chroma")), None)
        else:
            line |= {f"{name}_gain": evaluation.gain(row, name) for name in names}
            line["chroma_gain"] = evaluation.chroma_gain(row)
        line |= {"fps": row.fps, "timed": row.timed, "workers": row.workers}
        line |= {"note": row.note, "error": row.error}
        yield line


def _frames(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    names = list(dict.fromkeys(name for row in evaluation.rows for name in row.frames))
    for row in evaluation.rows:
        case = evaluation.case(row.clip, row.setting)
        if case is None or not row.frames:
            continue
        for number in range(row.count):
            yield {
                "clip": row.clip,
                "setting": row.setting,
                "restorer": row.restorer,
                **_colours(evaluation),
                "frame": number,
                "type": case.stream.types[number],
                "qp": case.stream.qp[number],
                "bytes": case.stream.sizes[number] if case.stream.sizes else None,
                **{name: row.frames[name][number] for name in names if name in row.frames},
            }


def _colours(evaluation: Evaluation) -> dict[str, str]:
    """What figures of RGB are of: under some protocols they compare with nothing else."""
    return {"chroma": evaluation.protocol.chroma, "conversion": evaluation.protocol.conversion}


def _results(evaluation: Evaluation) -> dict[str, Any]:
    rows = []
    for row in evaluation.rows:
        content = row.to_dict()
        for name in ("frames", "matches"):
            del content[name]
        gains: dict[str, float | None] = {}
        if row.restorer != COMPRESSED:
            gains = {name: evaluation.gain(row, name) for name in row.figures}
            gains["chroma"] = evaluation.chroma_gain(row)
        rows.append(content | {"gains": gains})
    return {
        "facts": dict(evaluation.facts),
        "protocol": evaluation.protocol.model_dump(mode="json"),
        "rows": rows,
        "means": [asdict(mean) for mean in evaluation.means],
        "families": [asdict(gains) for gains in evaluation.gains],
        "bjontegaard": [asdict(delta) for delta in evaluation.deltas],
    }


def _measured(evaluation: Evaluation) -> list[str]:
    """The figures that some row has, in the usual order."""
    return [name for name in FIGURES if any(name in row.figures for row in evaluation.rows)]


def _write_csv(lines: list[dict[str, Any]], path: Path) -> None:
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]) if lines else [])
        writer.writeheader()
        writer.writerows(lines)
