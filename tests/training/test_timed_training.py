"""Training by the clock from a packed file, rehearsed on the CPU."""

import csv
import itertools
import math
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from support.packed_files import random_packed
from support.waiting import NoWaiting
from vqe_fast import backend
from vqe_fast.data.packed import Packed
from vqe_fast.models import create_model
from vqe_fast.training.checkpoint import save_weights
from vqe_fast.training.crop_gains import Gains
from vqe_fast.training.timed_training import Settings, burst
from vqe_fast.weights import WeightsError, load_weights, metadata_of

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SMALL = {"batch": 4, "patch": 32, "rate": 0.004}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "packed.safetensors"
    random_packed(path, count=8, held_out=3)
    return path


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """Weights that change nothing yet."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("new") / "new.safetensors"
    save_weights(create_model("dualres_s"), path, "dualres_s", {})
    return path


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def ticking(seconds):
    """A clock that goes on by so much each time that it is looked at."""
    count = itertools.count()
    return lambda: next(count) * seconds


def train(data, output, said=None, *, seconds=1.0, minutes=2.0, **settings):
    say = (lambda text: None) if said is None else said.append
    settings = Settings(minutes=minutes, **SMALL | settings)
    return burst(settings, Packed.read(data), output, device=CPU, clock=ticking(seconds), say=say)


def curve_of(folder):
    with (folder / "curve.csv").open() as file:
        return list(csv.DictReader(file))


def test_it_learns(data, new, tmp_path):
    """Noise of two strengths, which each crop's QP does not tell apart."""
    said = []
    gains = train(data, tmp_path, said, weights=new)
    curve = curve_of(tmp_path)
    assert [float(row["minute"]) for row in curve] == [0, 1, 2]
    assert (curve[0]["loss"], float(curve[0]["luma_gain"])) == ("", 0)
    assert float(curve[2]["loss"]) < 0.9 * float(curve[1]["loss"])
    assert gains.luma == float(curve[2]["luma_gain"]) > 0.005
    assert [line.split(":")[0] for line in said] == [
        f"minute {row['minute'].removesuffix('.0')}, step {row['step']}" for row in curve
    ]
    assert all(line.endswith(", kept") for line in said)
    card = tomllib.loads((tmp_path / "card.toml").read_text())["dualres_s"]
    assert (card["minutes"], card["steps"], card["batch"]) == (2.0, int(curve[2]["step"]), 4)
    assert Packed.read(data).sha256 in card["data"]
    assert card["measured"].keys() == gains.codecs.keys()
    assert metadata_of(tmp_path / "weights.safetensors")["model"] == "dualres_s"


def test_runs_are_alike(data, new, tmp_path):
    gains = [train(data, tmp_path / name, weights=new, seconds=4.0) for name in "ab"]
    assert gains[0] == gains[1]
    contents = [load_file(tmp_path / name / "weights.safetensors") for name in "ab"]
    assert all(torch.equal(value, contents[1][name]) for name, value in contents[0].items())


def test_what_ships_is_the_start(data, tmp_path):
    """A larger one begins as what ships for the smaller one."""
    said = [[], []]
    for model, lines in zip(("dualres_s", "dualres_m"), said, strict=True):
        train(data, tmp_path / model, lines, model=model, seconds=30.0)
    first = [
        float(curve_of(tmp_path / model)[0]["luma_gain"]) for model in ("dualres_s", "dualres_m")
    ]
    assert first[0] == pytest.approx(first[1], abs=1e-4)
    assert first[0] != 0
    load_weights(create_model("dualres_m"), tmp_path / "dualres_m" / "weights.safetensors")


@pytest.mark.parametrize("name", ("auto", "reference"))
def test_no_step_waits_for_the_device(data, new, tmp_path, monkeypatch, name):
    """Else it could not be captured."""

    def checked(step, *rest):
        step()
        with NoWaiting():
            step()
        raise InterruptedError

    monkeypatch.setattr("vqe_fast.training.timed_training.fastest_step", checked)
    with backend(name), pytest.raises(InterruptedError):
        train(data, tmp_path, weights=new)


def test_the_best_is_kept(data, new, tmp_path, monkeypatch):
    """Chroma counts for a quarter."""
    figures = iter([(0.1, 0.1), (0.2, 0.0), (0.18, 0.05), (0.0, 0.7), (0.1, 0.1)])
    monkeypatch.setattr(
        "vqe_fast.training.timed_training.crop_gains", lambda *rest: Gains(*next(figures), {})
    )
    said = []
    gains = train(data, tmp_path, said, weights=new, minutes=4.0, seconds=6.0)
    assert [line.endswith(", kept") for line in said] == [True, True, False, True, False]
    assert (gains.luma, gains.chroma) == (0.0, 0.7)
    assert len(curve_of(tmp_path)) == 5
    assert tomllib.loads((tmp_path / "card.toml").read_text())["dualres_s"]["minutes"] == 3


def test_cut_off(data, new, tmp_path):
    """At any moment there are whole files, those of the last whole minute."""

    class Stop(Exception):
        pass

    def say(text):
        if text.startswith("minute 2"):
            raise Stop

    settings = Settings(minutes=5, weights=new, **SMALL)
    with pytest.raises(Stop):
        burst(settings, Packed.read(data), tmp_path, device=CPU, clock=ticking(3.0), say=say)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "card.toml",
        "curve.csv",
        "weights.safetensors",
    ]
    assert len(curve_of(tmp_path)) == 2
    assert tomllib.loads((tmp_path / "card.toml").read_text())["dualres_s"]["minutes"] == 1
    load_weights(create_model("dualres_s"), tmp_path / "weights.safetensors")


def test_a_loss_that_is_not_finite(data, new, tmp_path):
    with pytest.raises(FloatingPointError, match=r"not finite any more at step .* lower rate"):
        train(data, tmp_path, weights=new, rate=1e30, minutes=1.0, seconds=5.0)
    load_weights(create_model("dualres_s"), tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minutes": 0}, "minutes must be above 0, got 0"),
        ({"minutes": math.nan}, "minutes must be above 0, got nan"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"rate": -1.0}, "rate must be above 0, got -1.0"),
        ({"patch": 20}, "patch must be a multiple of 8 of at most the 48 .* got 20"),
        ({"patch": 56}, "patch must be a multiple of 8 of at most the 48 .* got 56"),
        ({"model": "carcnn_small"}, "carcnn_small cannot be trained so: take dualres_s or"),
        ({"model": "dualres"}, "no model is named 'dualres'"),
        ({"seconds": 40.0}, "measuring takes 40 s here: give more minutes"),
        ({"weights": Path("nowhere.safetensors")}, "there is no weights file nowhere"),
    ],
)
def test_what_cannot_be(data, tmp_path, settings, message):
    with pytest.raises((ValueError, WeightsError), match=message):
        train(data, tmp_path / "out", **{"minutes": 1.0} | settings)


# As where PyAV, what reads recipes, and the package itself are not installed.
_BARE = """
import sys
from importlib.machinery import PathFinder

class CheckoutFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "vqe_fast":
            path = [place for place in sys.path if "site-packages" not in place]
        return PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [
    CheckoutFinder if each is PathFinder else each
    for each in sys.meta_path if "editable" not in str(each)
]
for name in ("av", "pydantic", "yaml", "lightning_fabric", "typer", "rich"):
    sys.modules[name] = None
import runpy
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def command(*options, program=_BARE):
    script = ROOT / "benchmarks" / "gpu_train.py"
    line = [sys.executable, "-P", "-c", program, script, *options]
    return subprocess.run([*map(str, line)], capture_output=True, text=True, cwd="/")


def test_the_command_in_a_bare_checkout(data, tmp_path):
    run = command(
        *("--data", data, "--output", tmp_path, "--minutes", 0.1, "--batch", 1, "--patch", 16)
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("a rehearsal on the CPU")
    assert "minute 0.1, step " in run.stdout
    load_weights(create_model("dualres_s"), tmp_path / "weights.safetensors")


def test_a_refusal_of_the_command(tmp_path):
    run = command("--data", tmp_path / "none", "--output", tmp_path / "out")
    assert (run.returncode, len(run.stderr.splitlines())) == (2, 1)
    assert run.stderr.startswith("gpu-train: there is no packed file")
