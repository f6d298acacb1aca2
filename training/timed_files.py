"""Files of a timed training: weights, their card, and the curve."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from vqe_fast._atomic_write import atomic_write
from vqe_fast.training.card import measured_lines, toml_value
from vqe_fast.training.checkpoint import WEIGHTS_NAME, save_weights

CARD_NAME = "card.toml"
CURVE_NAME = "curve.csv"


def save_best(
    folder: Path,
    model: nn.Module,
    name: str,
    options: Mapping[str, Any],
    facts: Mapping[str, Any],
    measured: Mapping[str, Mapping[str, float]],
) -> None:
    """Replaces ``weights.safetensors``, and ``card.toml`` as a table of ``weights.toml``.

    Args:
        folder: where they are.
        model: whose weights.
        name: of the registered model, and
        options: what it is built with.
        facts: what else the card says: texts, numbers, and tables of them.
        measured: as :func:`vqe_fast.training.card.measured_lines` takes it.
    """
    save_weights(model, folder / WEIGHTS_NAME, name, options)
    about = {"file": WEIGHTS_NAME, **facts, **({"options": options} if options else {})}
    lines = [f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in about.items()), ""]
    with atomic_write(folder / CARD_NAME) as draft:
        draft.write_text("\n".join(lines + measured_lines(name, measured)) + "\n", "utf-8")


def save_curve(folder: Path, rows: Sequence[Mapping[str, float | None]]) -> None:
    """Replaces ``curve.csv``: a line for each row, under the names of the first one's columns."""
    with atomic_write(folder / CURVE_NAME) as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
