"""Sharp weights for tests, as they ship: those of a model, moved a little."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import vqe_fast.weights

MODEL = "dualres_s"
STRENGTH = {"h264": [[20, 0.0], [30, 0.5]], "other": [[0, 1.0]]}


def ship_sharp_weights(folder, monkeypatch, strength=STRENGTH):
    """Has them ship for :data:`MODEL`; returns the faithful weights and the sharp ones."""
    cards = vqe_fast.weights.shipped()
    faithful = load_file(Path(vqe_fast.weights.__file__).parent / cards[MODEL]["file"])
    torch.manual_seed(0)
    sharp = {name: value * (1 + torch.randn(value.shape) / 8) for name, value in faithful.items()}
    sharp = {name: value.half() for name, value in sharp.items()}
    save_file(sharp, folder / "sharp.safetensors")
    card = {**cards[MODEL], "file": str(folder / "sharp.safetensors"), "strength": strength}
    cards[f"{MODEL}_sharp"] = card
    monkeypatch.setattr(vqe_fast.weights, "shipped", lambda: cards)
    return faithful, sharp
