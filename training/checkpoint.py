"""Files of a run: the state to go on from, and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import nn

from vqe_fast._whole_file import whole_file

WEIGHTS_NAME = "weights.safetensors"
BEST_NAME = "best.safetensors"
STATE_NAME = "last.pt"


def save_state(state: dict[str, Any], folder: Path) -> None:
    """Writes ``last.pt``."""
    with whole_file(folder / STATE_NAME) as draft:
        torch.save(state, draft)


def load_state(folder: Path, recipe: str, device: torch.device) -> dict[str, Any] | None:
    """What ``last.pt`` holds, or None if there is none.

    Raises:
        ValueError: it was made by another recipe.
    """
    path = folder / STATE_NAME
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if state["recipe"] != recipe:
        raise ValueError(
            f"{path} belongs to a run of another recipe: choose another output folder, or delete it"
        )
    return state


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
    with whole_file(path) as draft:
        draft.write_bytes(save(state, about))
