import tomllib

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from support.clips import smooth_noise, write_png
from vqe_fast.cli.app import app

RECIPE = {
    "model": "carcnn",
    "options": {"width": 8, "blocks": 1},
    "loss": "relative_charbonnier",
    "loss_options": {"eps": 0.001},
    "data": {
        "degradations": [{"codec": "libx264", "mode": "qp", "values": [38]}],
        "patch": 32,
        "batch": 2,
        "still_frames": 2,
        "still_size": [96, 64],
    },
    "validation": [{"codec": "libx265", "mode": "qp", "values": [37]}],
    "optimiser": {"rate": 0.001, "steps": 4, "warmup": 1},
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
    return CliRunner().invoke(app, [*command, *map(str, options)])


def test_from_clips_to_weights_and_card(folders):
    result = run(folders, "--validate", folders / "clean")
    assert result.exit_code == 0, result.output
    assert "step 4/4" in result.stdout and "x265 QP 37" in result.stdout
    card = tomllib.loads((folders / "run" / "card.toml").read_text())["carcnn"]
    assert (card["steps"], card["recipe"]) == (4, "recipe.yaml")
    assert card["measured"]["x265 QP 37"].keys() == {"psnr_gain", "worst_psnr_gain", "ssim_gain"}
    assert (folders / "run" / "measured.csv").read_text().startswith("clip,setting,psnr_before")
    result = run(folders, "--weights", folders / "run" / "weights.safetensors")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "clean" / "still.png").unlink(), "holds no clip or photograph"),
        (lambda f: (f / "recipe.yaml").unlink(), "recipe.yaml"),
        (lambda f: (f / "recipe.yaml").write_text("modle: carcnn"), "modle"),
    ],
)
def test_refusals(folders, change, message):
    change(folders)
    result = run(folders)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (folders / "run").exists()
