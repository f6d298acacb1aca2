"""Variants of a recipe, trained and measured alike."""

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from support.clips import smooth_noise, write_png
from vqe_fast import create_model
from vqe_fast.cli.app import app
from vqe_fast.ops import unsharp_mask
from vqe_fast.training.ablation import Comparison, measured, read_comparison, table
from vqe_fast.training.gains import Measurement
from vqe_fast.training.optimisers import build_optimisers
from vqe_fast.training.recipe import read_recipe
from vqe_fast.training.recipes import find_recipe
from vqe_fast.training.train import build_model

SHIPPED = sorted(
    entry.name.removesuffix(".yaml")
    for entry in resources.files("vqe_fast.training.comparisons").iterdir()
    if entry.name.endswith(".yaml")
)
SMALL = [
    "data.still_size=[96, 64]",
    "data.still_frames=2",
    "data.patch=32",
    "data.batch=2",
    "data.degradations=[{codec: libx264, mode: qp, values: [38]}]",
    "options={width: 4, blocks: 1}",
    "stages.0.steps=2",
    "report_every=1",
]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_comparisons(name):
    """Every change fits its recipe, and no two variants are the same."""
    comparison = read_comparison(name)
    path = find_recipe(comparison.recipe)
    recipes = [read_recipe(path, changes) for changes in comparison.variants.values()]
    assert len({recipe.model_dump_json() for recipe in recipes}) == len(recipes)
    assert len(recipes) > 1 or len(comparison.parts) > 1
    for recipe in recipes:
        for options in comparison.rebuilt.values():
            with torch.device("meta"):
                create_model(recipe.model, **recipe.options | options)
        with torch.device("meta"):
            model = create_model(recipe.model, **recipe.options)
        for path in comparison.parts.values():
            assert all(model.get_submodule(part) for part in path)
        for stage in recipe.stages:
            build_optimisers(model.get_submodule((stage.modules or [""])[-1]), stage.optimiser)


def test_changes_and_another_recipe(tmp_path):
    """Of every variant, whose own come after them; its generators make an ensemble."""
    (tmp_path / "clean").mkdir()
    picture = np.repeat(smooth_noise(160, 220)[..., None], 3, axis=2)
    write_png(tmp_path / "clean" / "still.png", picture)
    clean = str(tmp_path / "clean")
    changes = [*SMALL, "stages.0.loss=[{name: mse}]", "validation.frames=1", "precision=fp32"]
    command = ["ablate", "galteri_qualities", "--data", clean, "--validate", clean, *changes]
    command += ["--recipe", "galteri_very_fast", "--cache", str(tmp_path / "cache")]
    run = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "out"), "--device", "cpu"])
    assert run.exit_code == 0, run.output
    lines = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert [line.split("|")[1] for line in lines[2:]] == ["qp27", "qp32", "qp37", "qp42", "all"]
    assert lines[0].count("|") == 6
    join = ["join", str(tmp_path / "ensemble.safetensors")]
    join += [f"{qp}={tmp_path / 'out' / f'qp{qp}'}" for qp in (27, 32, 37, 42)]
    assert CliRunner().invoke(app, join).exit_code == 0


def test_parts_and_other_options():
    """Lines of one trained model: parts of it, all of it, and all of it built otherwise."""
    recipe = read_recipe(find_recipe("astf_small"), ["options={width: 2, blocks: 1}"])
    model = build_model(recipe).eval()
    clip = torch.rand(1, 1, 3, 16, 16)
    comparison = Comparison(
        recipe="astf_small",
        variants={"ASTF": []},
        parts={"first": ["stage1"], "fused": []},
        rebuilt={"sharpened": {"sharpen": 0.5}},
    )
    with torch.no_grad():
        torch.nn.init.normal_(model.stage1.conv_last.weight, 0, 0.1)
        lines = {name: each(clip) for name, each in measured(comparison, recipe, "ASTF", model)}
        assert list(lines) == ["first", "fused", "sharpened"]
        torch.testing.assert_close(lines["first"], model.stage1(clip))
        expected = unsharp_mask(lines["fused"][0], 0.5)
        torch.testing.assert_close(lines["sharpened"][0], expected)


def test_from_clips_to_a_table(tmp_path):
    """Two variants; a second call finds them trained."""
    (tmp_path / "clean").mkdir()
    picture = np.repeat(smooth_noise(160, 220)[..., None], 3, axis=2)
    write_png(tmp_path / "clean" / "still.png", picture)
    variants = {"MSE": [*SMALL, "stages.0.loss=[{name: mse}]"], "both": SMALL}
    content = {"recipe": "carcnn_small", "variants": variants}
    (tmp_path / "losses.yaml").write_text(yaml.safe_dump(content))
    clean, runs = str(tmp_path / "clean"), str(tmp_path / "runs")
    command = ["ablate", str(tmp_path / "losses.yaml"), "--data", clean, "--validate", clean]
    command += ["--output", runs, "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "MSE: training  step 2/2" in first.stdout and "both: training  step 2/2" in first.stdout
    text = (tmp_path / "runs" / "table.md").read_text()
    assert [line.split("|")[1] for line in text.splitlines()] == [" ", "---", "MSE", "both"]
    assert (tmp_path / "runs" / "both.csv").exists()
    second = CliRunner().invoke(app, command)
    assert "step" not in second.stdout and second.stdout.strip().endswith(text.strip())


def test_table():
    """Means over the clips."""
    rows = [
        Measurement(name, "QP 37", 30, 30 + gain, 0.8, 0.9) for name, gain in (("a", 1), ("b", 2))
    ]
    unchanged = Measurement("c", "QP 37", *[None] * 4)
    assert "|ours|31.50 dB (+1.50), 0.9000 (+0.1000)|" in table({"ours": [*rows, unchanged]})
    assert "|ours|–|" in table({"ours": [unchanged]})
    seen = [replace(row, distance_before=0.5, distance_after=0.375) for row in rows]
    assert ", 0.9000 (+0.1000), 0.3750 (-0.1250)|" in table({"ours": [*seen, unchanged]})


def test_unknown_comparison():
    with pytest.raises(ValueError, match=r"there is no comparison carcnn: .*carcnn_losses"):
        read_comparison("carcnn")
