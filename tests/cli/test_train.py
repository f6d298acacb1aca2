import tomllib

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from support.clips import smooth_noise, write_png
from vqe_fast.cli.app import app
from vqe_fast.weights import options_in

RECIPE = {
    "model": "carcnn",
    "options": {"width": 8, "blocks": 1, "qp_adaptive": True},
    "data": {
        "degradations": [{"codec": "libx264", "mode": "qp", "values": [38]}],
        "patch": 32,
        "batch": 2,
        "still_frames": 2,
        "still_size": [96, 64],
    },
    "stages": [
        {
            "steps": 4,
            "loss": [{"name": "relative_charbonnier"}],
            "optimiser": {"rate": 0.001},
        }
    ],
    "validation": {"report": [{"codec": "libx265", "mode": "qp", "values": [37]}]},
    "report_every": 2,
}


@pytest.fixture
def folders(tmp_path):
    clean = tmp_path / "clean"
    clean.mkdir()
    write_png(clean / "still.png", np.repeat(smooth_noise(160, 220)[..., None], 3, axis=2))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path


def run(folder, *options):
    command = ["train", str(folder / "recipe.yaml"), "--data", str(folder / "clean")]
    command += ["--output", str(folder / "run"), "--cache", str(folder / "cache")]
    command += ["--device", "cpu"]
    return CliRunner().invoke(app, [*command, *map(str, options)])


def test_from_clips_to_weights_and_card(folders):
    result = run(folders, "--validate", folders / "clean")
    assert result.exit_code == 0, result.output
    assert "step 4/4" in result.stdout and "x265 QP 37" in result.stdout
    card = tomllib.loads((folders / "run" / "card.toml").read_text())["carcnn"]
    assert (card["steps"], card["recipe"]) == (4, "recipe.yaml")
    assert card["options"] == RECIPE["options"]
    assert list((folders / "run").glob("events.out.tfevents*"))
    assert card["measured"]["x265 QP 37"].keys() == {"psnr_gain", "worst_psnr_gain", "ssim_gain"}
    assert (folders / "run" / "measured.csv").read_text().startswith("clip,setting,psnr_before")
    weights = folders / "run" / "weights.safetensors"
    result = run(folders, "stages.0.steps=2", "--weights", weights, "--output", folders / "second")
    assert result.exit_code == 0, result.output
    assert "step 2/2" in result.stdout
    assert options_in(weights) == RECIPE["options"]


def test_recipes_that_ship_have_names(folders):
    """Here one whose data section is made small by changes."""
    command = ["train", "carcnn_small", "options={width: 4, blocks: 1}", "stages.0.steps=1"]
    command += ["data.still_size=[96, 64]", "data.patch=32", "data.batch=2", "data.still_frames=1"]
    command += ["--data", str(folders / "clean"), "--output", str(folders / "run")]
    command += ["--cache", str(folders / "cache"), "--device", "cpu"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert (folders / "run" / "weights.safetensors").exists()


def test_pairs_of_a_published_layout(folders):
    """Frames that are there in both versions are taken as they are, and nothing is encoded."""
    place = folders / "clean" / "GOPR0001"
    for version in ("sharp", "blur"):
        (place / version).mkdir(parents=True)
        pixels = np.repeat(smooth_noise(48, 64)[..., None], 3, axis=2)
        write_png(place / version / "000.png", pixels)
    changes = ["data.layout=gopro", "options.qp_adaptive=false"]
    result = run(folders, *changes, "--validate", folders / "clean")
    assert result.exit_code == 0, result.output
    assert "blur" in (folders / "run" / "measured.csv").read_text()
    assert not (folders / "cache" / "streams").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "clean" / "still.png").unlink(), "holds no clip or photograph"),
        (lambda f: (f / "recipe.yaml").unlink(), "there is no recipe"),
        (lambda f: (f / "recipe.yaml").write_text("modle: carcnn"), "modle: Extra inputs are not"),
        (lambda f: (f / "recipe.yaml").write_text("model: ["), "recipe.yaml is not valid YAML"),
    ],
)
def test_refusals(folders, change, message):
    change(folders)
    result = run(folders)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (folders / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.0.step=3", "stages.0.step: Extra inputs are not permitted"),
        ("stages.1.steps=3", "'1' in stages.1.steps must be a number below 1"),
        ("stages.0.steps=many", "stages.0.steps: Input should be a valid integer"),
        ("stages", "a change must be key=value, got 'stages'"),
        ("model.name=3", "model.name does not lead anywhere in the file"),
    ],
)
def test_wrong_changes(folders, change, message):
    result = run(folders, change)
    assert result.exit_code == 2
    assert message in result.stderr
