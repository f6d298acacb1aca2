"""What a training run is made of, read from YAML; an unknown key is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vqe_fast.training.spec import DegradationGrid, PrepareSpec, Strict, read_yaml


class DataRecipe(PrepareSpec):
    """Clips and their degradations; patches: side in pixels, and how many are in a batch."""

    patch: int = Field(96, ge=16)
    batch: int = Field(16, ge=1)


class OptimiserRecipe(Strict):
    """Adam; the rate rises linearly over ``warmup`` steps, then falls along a cosine to 0."""

    rate: float = Field(gt=0)
    steps: int = Field(ge=1)
    warmup: int = Field(200, ge=1)
    clip_norm: float = Field(1.0, gt=0)
    ema: float = Field(0.999, ge=0, lt=1)


class Recipe(Strict):
    """A whole run."""

    model: str
    options: dict[str, Any] = Field({})
    loss: Literal["charbonnier", "relative_charbonnier", "ssim_mse"]
    loss_options: dict[str, float] = Field({})
    data: DataRecipe
    validation: list[DegradationGrid] = Field([])
    optimiser: OptimiserRecipe
    precision: Literal["fp32", "bf16"] = "bf16"
    seed: int = 0
    report_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(1000, ge=1)


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe.

    Raises:
        ValueError: the file is not YAML, has an unknown key, lacks one, or holds a wrong value.
    """
    return read_yaml(path, Recipe)
