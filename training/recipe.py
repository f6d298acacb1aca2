"""What a training run is made of, read from YAML; an unknown key is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from vqe_fast.training.degradation import Degradation


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DegradationGrid(_Strict):
    """Encoder settings: every value of ``values`` for one codec and mode."""

    codec: Literal["libx264", "libx265"]
    mode: Literal["qp", "crf"]
    values: list[int] = Field(min_length=1)
    preset: str = "medium"

    def expand(self) -> list[Degradation]:
        """One :class:`Degradation` for each value."""
        return [Degradation(self.codec, self.mode, value, self.preset) for value in self.values]


class DataRecipe(_Strict):
    """Patches: side in pixels, patches in a batch, and the degradations they come from."""

    degradations: list[DegradationGrid] = Field(min_length=1)
    patch: int = Field(96, ge=16)
    batch: int = Field(16, ge=1)
    still_frames: int = Field(6, ge=1)
    still_size: tuple[int, int] = (384, 288)


class OptimiserRecipe(_Strict):
    """Adam; the rate rises linearly over ``warmup`` steps, then falls along a cosine to 0."""

    rate: float = Field(gt=0)
    steps: int = Field(ge=1)
    warmup: int = Field(200, ge=1)
    clip_norm: float = Field(1.0, gt=0)
    ema: float = Field(0.999, ge=0, lt=1)


class Recipe(_Strict):
    """A whole run."""

    model: str
    options: dict[str, Any] = {}
    loss: Literal["charbonnier", "relative_charbonnier", "ssim_mse"]
    loss_options: dict[str, float] = {}
    data: DataRecipe
    validation: list[DegradationGrid] = []
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
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    return Recipe.model_validate(content)


def expand(grids: list[DegradationGrid]) -> list[Degradation]:
    """Every encoder setting of some grids."""
    return [degradation for grid in grids for degradation in grid.expand()]
