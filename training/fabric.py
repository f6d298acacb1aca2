"""Lightning Fabric: devices, processes and precision of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor


def make_fabric(device: str = "auto", precision: Literal["fp32", "bf16"] = "fp32") -> Fabric:
    """A launched Fabric for this process, one of several if ``torchrun`` started it.

    Args:
        device: ``"auto"`` (a GPU where there is one), ``"cpu"``, ``"cuda"``, or ``"cuda:1"``.
        precision: of the forward passes; weights and losses are float32.

    Raises:
        ValueError: the device is unknown or not there.
    """
    kind, _, number = pick_kind(device).partition(":")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=kind,
        devices=[int(number)] if number and here == 1 else here,
        num_nodes=world // here,
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def pick_kind(device: str) -> str:
    """``device``; for ``"auto"`` ``"cuda"`` where there is a GPU, else ``"cpu"``.

    Raises:
        ValueError: the device is unknown or not there.
    """
    kind, _, number = device.partition(":")
    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, got {device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device here: use --device cpu")
    return device


def average_gradients(fabric: Fabric, parameters: Iterable[Tensor]) -> None:
    """Replaces gradients by their mean over all processes; one message for all of them."""
    if fabric.world_size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    averaged = fabric.all_reduce(together, reduce_op="mean")
    assert isinstance(averaged, Tensor)
    for gradient, part in zip(
        gradients, averaged.split([gradient.numel() for gradient in gradients]), strict=True
    ):
        gradient.copy_(part.view_as(gradient))
