"""Recipes of training runs, read from YAML; an unknown key is an error."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from vqe_fast.data.spec import DegradationGrid, PrepareSpec, Strict, read_yaml

LossName = Literal[
    "charbonnier",
    "relative_charbonnier",
    "relative_mse",
    "l1",
    "mse",
    "ssim",
    "gain_floor",
    "ssim_mse",
    "ms_ssim",
    "vif",
    "contrast",
    "efficientnet_features",
    "multiscale_features",
    "pequenet_features",
    "galteri_features",
    "lpips",
    "trade_off",
]


class LossTerm(Strict):
    """Term of a loss: its weight, and the options of the loss of that name in ``vqe_fast``.

    ``trunk`` is where a loss that compares features has its classifier from: ``published``,
    ``random`` (for trying things out; nothing perceptual about it), a file, or
    ``efficientnet_lite0`` for :func:`vqe_fast.nn.efficientnet_feature_loss` in place of the loss on
    VGG; the card of the weights says so.
    """

    name: LossName
    weight: float = Field(1.0, gt=0)
    options: dict[str, Any] = Field({})
    trunk: str = "published"


class OptimiserRecipe(Strict):
    """Optimiser: Adam, AdamW, or Muon, and its settings.

    ``accumulate``: parts that a batch is worked through in.
    ``muon`` takes steps of orthogonal matrices for the weights of convolutions, at ``rate``, and
    trains all else, and what is called ``beside`` or lies within it, by Adam at ``adam_rate``.
    """

    name: Literal["adam", "adamw", "muon"] = "adam"
    rate: float = Field(gt=0)
    adam_rate: float | None = Field(None, gt=0)
    beside: list[str] = Field([])
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    clip_norm: float | None = Field(None, gt=0)
    accumulate: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _has_rates(self) -> Self:
        if (self.name == "muon") != (self.adam_rate is not None):
            raise ValueError("adam_rate is for muon, which needs one for what Adam trains beside")
        return self


class ScheduleRecipe(Strict):
    """Learning rate schedule: a factor of the rate, after a linear warm-up over ``warmup`` steps.

    ``constant``; ``cooldown``, constant but for a straight line down to ``minimum`` over the last
    ``period`` steps, so that a run can be prolonged from where that begins; ``cosine``, a half
    wave down to ``minimum`` at the last step; ``restarts``, such half waves of ``period`` steps
    each; ``steps``, times ``factor`` every ``period`` steps.
    """

    kind: Literal["constant", "cooldown", "cosine", "restarts", "steps"] = "constant"
    warmup: int = Field(0, ge=0)
    period: int | None = Field(None, ge=1)
    factor: float = Field(0.3, gt=0, lt=1)
    minimum: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _has_period(self) -> Self:
        if self.kind in ("cooldown", "restarts", "steps") and self.period is None:
            raise ValueError(f"a schedule of {self.kind} needs a period")
        return self

    def factor_at(self, step: int, steps: int) -> float:
        """The factor of the rate at ``step`` of ``steps``."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        period = self.period or 1
        if self.kind == "cooldown":
            left = min((steps - step) / period, 1.0)
            return self.minimum + (1 - self.minimum) * left
        if self.kind == "steps":
            return self.factor ** (step // period)
        if self.kind == "cosine":
            done = (step - self.warmup) / max(1, steps - self.warmup)
        elif self.kind == "restarts":
            done = (step - self.warmup) % period / period
        else:
            return 1.0
        return self.minimum + (1 - self.minimum) * (1 + math.cos(math.pi * done)) / 2

    def agrees_until(self, step: int, steps: int, other: int) -> bool:
        """Whether stages of ``steps`` and of ``other`` have their first ``step`` steps alike."""
        if steps == other:
            return True
        if self.kind == "cosine":
            return step <= self.warmup
        return step <= min(steps, other) - self.cooldown

    @property
    def cooldown(self) -> int:
        """Steps at the end whose rate depends on how many there are."""
        return (self.period or 0) if self.kind == "cooldown" else 0


class AdversarialRecipe(Strict):
    """Adversarial part of a stage: a discriminator that learns in turn with the generator.

    ``weight`` is that of the generator's adversarial term, ``feature_matching`` that of the
    distance between the discriminator's features, 0 for none.
    """

    discriminator: Literal["patch", "sub_patch"]
    loss: Literal["lsgan", "standard"]
    weight: float = Field(gt=0)
    feature_matching: float = Field(0.0, ge=0)
    optimiser: OptimiserRecipe

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.feature_matching and self.discriminator != "patch":
            raise ValueError("feature_matching needs the discriminator patch")
        return self


class StageRecipe(Strict):
    """Stage of a run: parts to train, loss, optimiser, schedule and number of steps.

    ``modules`` are parts of the model that the frames go through one after the other; the last is
    trained, those before it are kept as they are. Without any it is the model as a whole.
    ``teacher`` is a single-frame model of luma with weights that ship: luma is compared with what
    that makes of it instead of with the pristine one; chroma with the pristine one.
    ``freeze`` are parts of what is trained that are kept as they are, such as ``stage1.spynet``.
    ``loss`` may be empty where there is an adversary.
    """

    name: str = "training"
    modules: list[str] = Field([])
    freeze: list[str] = Field([])
    teacher: str | None = None
    steps: int = Field(ge=1)
    loss: list[LossTerm]
    adversarial: AdversarialRecipe | None = None
    optimiser: OptimiserRecipe
    schedule: ScheduleRecipe = ScheduleRecipe()
    ema: float | None = Field(0.999, ge=0, lt=1)

    @model_validator(mode="after")
    def _learns_from_something(self) -> Self:
        if not self.loss and self.adversarial is None:
            raise ValueError("loss must have a term where there is no adversarial part")
        return self

    @model_validator(mode="after")
    def _whole_batches(self) -> Self:
        if self.adversarial and self.optimiser.accumulate > 1:
            raise ValueError("accumulate must be 1 where a discriminator learns in turn")
        return self


class DataRecipe(PrepareSpec):
    """Data of a run: how clips are prepared, and how windows are drawn from them.

    ``layout`` is ``clips`` for pristine ones, which are degraded, or that of a published data set
    of pairs, see :mod:`vqe_fast.data.readers`.
    ``window`` is the number of frames that recurrent models see; others have what they need.
    ``target``: ``middle`` for the middle frame of a window, ``all`` for every frame of a clip of
    ``window`` frames, of models with a method ``clip``, which see each frame once; recurrent ones
    learn from all.
    ``align``: windows begin at multiples of so many pixels; 8 and more show a network where the
    codec's blocks lie.
    ``unknown`` is the share of windows whose codec, and of those whose frame types, are kept from
    a model that takes them, so that it does without.
    ``reversals``: half of the windows of clips with B-frames go backwards in time; it matters to
    models that see several frames.
    ``qp`` says which QP a model is told: that of the frame, or that the encoder was asked for.
    """

    layout: Literal["clips", "mfqe", "ldv", "gopro"] = "clips"
    window: int = Field(5, ge=1)
    target: Literal["middle", "all"] = "middle"
    patch: int = Field(96, ge=16)
    batch: int = Field(16, ge=1)
    flips: bool = True
    rotations: bool = True
    reversals: bool = False
    align: int = Field(1, ge=1)
    unknown: float = Field(0.0, ge=0, le=1)
    qp: Literal["frame", "base"] = "frame"


class ValidationRecipe(Strict):
    """Validation: every so many steps, ``batches`` batches of windows of the validation clips.

    ``best`` says which figure decides which weights are kept: the gain in PSNR, or the loss, where
    a stage has one beside its adversary.
    ``report`` are the degradations that the finished weights are measured at, those of the data
    unless given, every ``frame_step``-th frame; ``frames`` how many frames of each validation clip
    there are at most.
    """

    every: int = Field(1000, ge=1)
    batches: int = Field(4, ge=1)
    best: Literal["psnr", "loss"] = "psnr"
    report: list[DegradationGrid] = Field([])
    frame_step: int = Field(1, ge=1)
    frames: int | None = Field(None, ge=1)


class Recipe(Strict):
    """Recipe of a whole run: model, data, stages, validation.

    ``precision``: ``auto`` is that in which a step takes less time on the machine at hand.
    """

    model: str
    options: dict[str, Any] = Field({})
    data: DataRecipe
    stages: list[StageRecipe] = Field(min_length=1)
    validation: ValidationRecipe = ValidationRecipe()
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    seed: int = 0
    report_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(1000, ge=1)

    def identity(self) -> str:
        """The fingerprint of a run, as JSON: everything but the numbers of steps."""
        stages = [stage.model_dump(mode="json", exclude={"steps"}) for stage in self.stages]
        rest = self.model_dump(mode="json", exclude={"stages"})
        return json.dumps(rest | {"stages": stages}, sort_keys=True)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: of the YAML file.
        changes: ``key=value`` with dots in the key for what lies deeper and numbers for members of
            lists, such as ``stages.0.optimiser.rate=1e-4``; values are YAML.

    Raises:
        ValueError: the file is not YAML, has an unknown key, lacks one, or holds a wrong value.
    """
    return read_yaml(path, Recipe, changes)
