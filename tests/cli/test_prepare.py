import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from support.clips import moving_texture, smooth_noise, write_png
from support.pairs import write_lossless
from support.processes import PATIENCE, wait_for
from vqe_fast.cli.app import app
from vqe_fast.cli.in_words import size_in_words
from vqe_fast.cli.train import load_clips
from vqe_fast.data.spec import expand, read_spec
from vqe_fast.training.recipe import DataRecipe

SPEC = {
    "degradations": [
        {"codec": "libx264", "mode": "crf", "values": [29, 41], "max_bitrates": [1000, 2000]},
        {"codec": "none", "blurs": [7]},
    ],
    "frames": 9,
    "still_frames": 7,
    "still_size": [96, 64],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clips").mkdir()
    write_lossless(tmp_path / "clips" / "texture.mkv", moving_texture(12))
    (tmp_path / "stills").mkdir()
    picture = np.repeat(smooth_noise(160, 220)[..., None], 3, axis=2)
    write_png(tmp_path / "stills" / "still.png", picture)
    write_spec(tmp_path)
    return tmp_path


def write_spec(folder, **changes):
    (folder / "spec.yaml").write_text(yaml.safe_dump(SPEC | changes))


def run(folder, *options, data=("clips", "stills")):
    command = ["prepare", folder / "spec.yaml", "--output", folder / "cache", *options]
    for place in data:
        command += ["--data", folder / place]
    return CliRunner().invoke(app, [str(part) for part in command])


def test_prepare(folder):
    """Says first how much it is, then what there is."""
    result = run(folder)
    assert (result.exit_code, result.stderr) == (0, "")
    plan, done = result.stdout.splitlines()
    assert plan.startswith("2 clips, 16 frames: 10 streams to make, about ")
    assert plan.endswith(" once decoded")
    assert done.startswith(f"{folder / 'cache'}: 10 streams of 2 clips, ")
    assert "0 scene cuts" in done
    index = json.loads((folder / "cache" / "index.json").read_text())
    assert {clip["name"]: clip["frames"] for clip in index["clips"]} == {"texture": 9, "still": 7}
    assert set(index["clips"][0]["streams"]) == {
        "x264 CRF 29 max 1000k",
        "x264 CRF 29 max 2000k",
        "x264 CRF 41 max 1000k",
        "x264 CRF 41 max 2000k",
        "blur 7",
    }
    again = run(folder)
    assert "0 streams to make, about 0 B, 10 kept" in again.stdout


def test_some_degradations_for_each_clip(folder):
    """The same for training as for preparing, which says truly how much that is."""
    write_spec(folder, per_clip=2)
    result = run(folder)
    assert "2 clips, 16 frames: 4 streams to make, about " in result.stdout
    assert "4 streams of 2 clips" in result.stdout
    data = DataRecipe.model_validate(SPEC | {"per_clip": 2})
    clips = load_clips(data, [folder / "clips", folder / "stills"], folder / "cache")
    index = json.loads((folder / "cache" / "index.json").read_text())
    made = {clip["name"]: set(clip["streams"]) for clip in index["clips"]}
    assert {clip.name: set(clip.settings) for clip in clips} == made
    assert [len(names) for names in made.values()] == [2, 2]
    data = data.model_copy(update={"seed": 1, "still_frames": 3})
    load_clips(data, [folder / "clips"], folder / "cache")
    index = json.loads((folder / "cache" / "index.json").read_text())
    assert {clip["name"]: set(clip["streams"]) for clip in index["clips"]} != made


def test_layers_of_stills(folder):
    """They are another clip, beside the one without."""
    run(folder, data=["stills"])
    write_spec(folder, still_layers=2)
    assert "5 streams to make" in run(folder, data=["stills"]).stdout
    clips = json.loads((folder / "cache" / "index.json").read_text())["clips"]
    assert sorted(clip["source"]["settings"].get("layers", 1) for clip in clips) == [1, 2]
    assert len({clip["pristine"]["sha256"] for clip in clips}) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"per_clip": 0}, ["per_clip", "greater than or equal to 1"]),
        ({"still_layers": 3}, ["still_layers", "1 or 2"]),
        ({"still_resting": 2}, ["still_resting", "less than or equal to 1"]),
        ({"still_frame": 3}, ["still_frame", "Extra inputs are not permitted"]),
        ({"degradations": []}, ["degradations", "at least 1 item"]),
        (
            {"degradations": [{"codec": "libx264", "mode": "qp", "values": [99]}]},
            ["qp of libx264 must lie in 0..51, got 99"],
        ),
        ({"raw": {"size": [0, 4]}}, ["raw", "must be positive"]),
        ({"images": "pictures"}, ["images", "'stills' or 'frames'"]),
    ],
)
def test_refused_specs(folder, changes, words):
    write_spec(folder, **changes)
    result = run(folder)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in words)
    assert result.stderr.startswith("vqe-fast: ") and result.stderr.count("\n") == 1
    assert not (folder / "cache").exists()


def test_refused_clips(folder):
    result = run(folder, data=["nowhere"])
    assert result.exit_code == 2
    assert "nowhere holds no clip or photograph" in result.stderr
    assert result.stderr.count("\n") == 1
    (folder / "spec.yaml").unlink()
    assert "spec.yaml" in run(folder).stderr


def test_car_cnn_variants(folder):
    """Four CRFs with three greatest bit rates, and no other pair of them."""
    grid = SPEC["degradations"][0] | {
        "values": [29, 35, 41, 47],
        "max_bitrates": [2000, 1500, 1000],
    }
    write_spec(folder, degradations=[grid, grid])
    twelve = expand(read_spec(folder / "spec.yaml").degradations)
    assert len(twelve) == 12
    assert {(each.value, each.max_bitrate) for each in twelve} == {
        (crf, rate) for crf in (29, 35, 41, 47) for rate in (2000, 1500, 1000)
    }


def test_interrupted(folder):
    """Exit code 130, one line, and what was finished stays."""
    write_lossless(folder / "clips" / "texture.mkv", moving_texture(30, 320, 240))
    many = [{"codec": "libx265", "mode": "qp", "values": list(range(10, 50))}]
    write_spec(folder, frames=30, degradations=many)
    command = ["prepare", "spec.yaml", "--output", "cache", "--data", "clips"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from vqe_fast.cli.app import main; main()", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    try:
        wait_for(lambda: finished(folder), process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, err.count("\n")) == (130, 1), err
    assert "interrupted; run it again" in err
    assert 0 < len(finished(folder)) < 40
    assert not list(folder.glob("cache/**/*.part*"))
    assert (folder / "cache" / "index.json").exists()


def finished(folder):
    return list(folder.glob("cache/streams/[!.]*"))


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (31_234_567, "31.2 MB"), (9 * 10**15, "9e+03 TB")],
)
def test_sizes(count, words):
    assert size_in_words(count) == words
