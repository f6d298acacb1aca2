"""Ablations: variants of a recipe, trained and measured alike, as the papers' tables do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor, nn

from vqe_fast.data.pairs import PairedClip
from vqe_fast.data.shipped_yaml import find_yaml
from vqe_fast.data.spec import DegradationGrid, Strict, read_yaml
from vqe_fast.models import spec_of
from vqe_fast.models.efficientnet import published_trunk
from vqe_fast.nn import efficientnet_distance
from vqe_fast.training.gains import Measurement, measure, write_csv
from vqe_fast.training.recipe import DataRecipe, Recipe, read_recipe
from vqe_fast.training.recipes import find_recipe
from vqe_fast.training.train import Progress, Validated, build_model, train

_FOLDER = Path(__file__).parent / "comparisons"


class Comparison(Strict):
    """An ablation: variants of a recipe.

    Attributes:
        recipe: name or path of the recipe.
        variants: name → changes to the recipe, as the train command takes them.
        parts: name → parts of the model that frames go through; the model as a whole if none are
            given.
        rebuilt: name → options that the whole trained model is built with besides, such as
            ``sharpen: 1.0``; their weights are the same.
        distance: whether to measure :func:`vqe_fast.nn.efficientnet_distance` too.
        report: the degradations to measure at; the recipe's own if none are given.
    """

    recipe: str
    variants: dict[str, list[str]] = Field(min_length=1)
    parts: dict[str, list[str]] = Field({})
    rebuilt: dict[str, dict[str, Any]] = Field({})
    distance: bool = False
    report: list[DegradationGrid] = Field([])


def read_comparison(name: str) -> Comparison:
    """Reads an ablation: a YAML file, or the name of one that ships.

    Raises:
        ValueError: there is none, or it is not a comparison.
    """
    return read_yaml(find_yaml(name, _FOLDER, "comparison"), Comparison)


def table(rows: Mapping[str, Sequence[Measurement]]) -> str:
    """Table in Markdown: a line for each variant, PSNR, SSIM and their gains a setting.

    Where it was measured, the feature distance comes last, and how much it changed.

    Clips that compression did not change are left out.
    """
    settings = list(dict.fromkeys(row.setting for own in rows.values() for row in own))
    lines = ["| |" + "|".join(settings) + "|", "|---|" + "---|" * len(settings)]
    for name, own in rows.items():
        cells = []
        for setting in settings:
            chosen = [row for row in own if row.setting == setting and row.psnr_gain is not None]
            count = len(chosen)
            if not count:
                cells.append("–")
                continue
            psnr, gain, ssim, more = (
                sum(getattr(row, field) for row in chosen) / count
                for field in ("psnr_after", "psnr_gain", "ssim_after", "ssim_gain")
            )
            cells.append(f"{psnr:.2f} dB ({gain:+.2f}), {ssim:.4f} ({more:+.4f})")
            distances = [(row.distance_before, row.distance_after) for row in chosen]
            known = [(a, b) for a, b in distances if a is not None and b is not None]
            if known:
                before, after = (fmean(values) for values in zip(*known, strict=True))
                cells[-1] += f", {after:.4f} ({after - before:+.4f})"
        lines.append(f"|{name}|" + "|".join(cells) + "|")
    return "\n".join(lines)


class _Parts(nn.Module):
    """Some parts of a model, one after the other."""

    def __init__(self, model: nn.Module, path: Sequence[str]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(model.get_submodule(name) for name in path)
        self.spec = replace(spec_of(model), takes_qp=False)

    def forward(self, frames: Tensor) -> Tensor:
        """The last part's frames."""
        for part in self.parts:
            frames = part(frames)
        return frames


def compare(
    comparison: Comparison,
    output: Path,
    *,
    fabric: Fabric,
    weights: Path | None = None,
    changes: Sequence[str] = (),
    learn_from: Callable[[DataRecipe], Sequence[PairedClip]],
    measure_on: Callable[[DataRecipe], Sequence[PairedClip]],
    report: Callable[[str, Progress | Validated], None],
) -> dict[str, list[Measurement]]:
    """Trains and measures every variant; finished ones are not trained again.

    Args:
        comparison: what to compare.
        output: gets a folder for each variant, and a CSV file for each line of the table.
        fabric: where to train, for the precision of the recipe that is compared.
        weights: a file of weights that every variant starts from, see
            :func:`vqe_fast.training.growth.load_start`.
        changes: to the recipe of every variant, before the variant's own.
        learn_from: prepares the clips to train on as a recipe says.
        measure_on: the same of the clips to measure on.
        report: told of progress with the variant's name.

    Returns:
        Name of the variant, or of the part of it → its measurements.

    Raises:
        ValueError: a change does not fit the recipe, or a recipe the clips.
        WeightsError: ``weights`` are missing or do not fit.
    """
    rows: dict[str, list[Measurement]] = {}
    distance = efficientnet_distance(published_trunk()) if comparison.distance else None
    for name, own in comparison.variants.items():
        recipe = read_recipe(find_recipe(comparison.recipe), [*changes, *own])
        model = train(
            recipe,
            learn_from(recipe.data),
            output / name,
            fabric=fabric,
            weights=weights,
            report=partial(report, name),
        )
        update = {
            "degradations": comparison.report or recipe.data.degradations,
            "frames": recipe.validation.frames,
            "per_clip": None,
        }
        held_out = measure_on(recipe.data.model_copy(update=update))
        for part, module in measured(comparison, recipe, name, model):
            rows[part] = measure(
                module,
                held_out,
                frame_step=recipe.validation.frame_step,
                device=fabric.device,
                qp=recipe.data.qp,
                distance=distance,
            )
            write_csv(rows[part], output / f"{part}.csv")
    return rows


def measured(
    comparison: Comparison, recipe: Recipe, name: str, model: nn.Module
) -> Iterator[tuple[str, nn.Module]]:
    """Lines of the table that a trained variant has, and what is measured for each."""
    for part, path in (comparison.parts or {name: []}).items():
        yield part, _Parts(model, path) if path else model
    for other, options in comparison.rebuilt.items():
        again = build_model(recipe.model_copy(update={"options": recipe.options | options}))
        again.load_state_dict(model.state_dict())
        yield other, again.eval()
