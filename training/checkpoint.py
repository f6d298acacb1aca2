"""Checkpoints of a run: its state to resume from, and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors.torch import save
from torch import nn

from vqe_fast._atomic_write import atomic_write

if TYPE_CHECKING:
    from vqe_fast.training.recipe import Recipe

WEIGHTS_NAME = "weights.safetensors"
BEST_NAME = "best.safetensors"
STATE_NAME = "last.pt"
PLATEAU_NAME = "plateau.pt"
"""The state in which the last steps of a stage began, whose rate depends on how many there are."""


def save_state(state: dict[str, Any], folder: Path, name: str = STATE_NAME) -> None:
    """Writes a checkpoint, ``last.pt`` or the file of another name."""
    with atomic_write(folder / name) as draft:
        torch.save(state, draft)


def load_state(folder: Path, recipe: Recipe, device: torch.device) -> dict[str, Any] | None:
    """The latest checkpoint that a run can resume from, or None if there is none.

    That is ``last.pt``; where a stage is to have another number of steps by now, and the rate of
    the last ones has depended on how many there were to be, ``plateau.pt``.

    Raises:
        ValueError: it was made by another recipe, or cannot be prolonged.
    """
    if not (folder / STATE_NAME).exists():
        return None
    for name in (STATE_NAME, PLATEAU_NAME):
        path = folder / name
        if not path.exists():
            continue
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if state["recipe"] != recipe.identity():
            raise ValueError(
                f"{path} belongs to a run of another recipe: choose another output folder, or "
                "delete it"
            )
        if _goes_on(state, recipe):
            return state
    raise ValueError(
        f"the run in {folder} cannot get another number of steps: its rate has depended on it "
        "already; choose another output folder, and start from its weights"
    )


def _goes_on(state: dict[str, Any], recipe: Recipe) -> bool:
    """Whether the steps taken so far are those that ``recipe`` has."""
    number: int = state["stage"]
    before: list[int] = state["steps"]
    now = [stage.steps for stage in recipe.stages]
    if before[:number] != now[:number]:
        return False
    schedule = recipe.stages[number].schedule
    return schedule.agrees_until(state["step"], before[number], now[number])


def save_weights(
    model: nn.Module,
    path: Path,
    name: str,
    options: Mapping[str, Any],
    qp: Literal["frame", "base"] = "frame",
) -> None:
    """Writes the state dict in float16: half the size, far below the noise of the training.

    Args:
        model: whose weights.
        path: of the file.
        name: of the registered model, and
        options: what it was built with, and
        qp: which QP it was told, that of the frame or that the encoder was asked for; all three
            are kept in the file's metadata.
    """
    state = {key: value.to("cpu", torch.float16) for key, value in model.state_dict().items()}
    state = {key: value.contiguous() for key, value in state.items()}
    about = {"model": name, "options": json.dumps(options), "qp": qp}
    with atomic_write(path) as draft:
        draft.write_bytes(save(state, about))
