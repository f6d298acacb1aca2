"""Files of generators that were trained one by one, joined into one of an ensemble."""

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from vqe_fast import create_model
from vqe_fast.cli.app import app
from vqe_fast.training.checkpoint import save_weights
from vqe_fast.training.joined_generators import join_generators
from vqe_fast.video.inference.load import find_model
from vqe_fast.video.inference.weights_owner import owner_of
from vqe_fast.weights import WeightsError, options_in

SMALL = {"width": 4, "blocks": 1}


def write_generator(path, name="galteri_very_fast", options=SMALL):
    """A file as training writes it; the generator with its weights."""
    model = create_model(name, **options)
    torch.nn.init.normal_(model.output.weight, std=0.1)
    save_weights(model, path, name, options)
    return find_model(name, path).eval()


@torch.no_grad()
def test_round_trip(tmp_path):
    """The file says all that is needed to build the ensemble, and each quality has its weights."""
    files = {qp: tmp_path / f"{qp}.safetensors" for qp in (37, 22)}
    generators = {qp: write_generator(path) for qp, path in files.items()}
    path = tmp_path / "ensemble.safetensors"
    joined = join_generators(files, path)
    assert owner_of(path) == "galteri_ensemble"
    loaded = find_model(owner_of(path), path)
    frames = torch.rand(1, 3, 16, 18)
    for qp, generator in generators.items():
        for ensemble in (joined, loaded):
            assert torch.equal(ensemble(frames, float(qp)), generator(frames))
    assert options_in(path) == {
        "generator": "galteri_very_fast",
        "qps": [22, 37],
        "generator_options": SMALL,
    }


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (("galteri_fast", SMALL), r"galteri_fast with width=4, blocks=1, .* galteri_very_fast"),
        (("galteri_very_fast", {}), r"holds galteri_very_fast, .* with width=4, blocks=1: give"),
    ],
)
def test_different_generators(tmp_path, other, message):
    first, second, output = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "out"))
    write_generator(first)
    write_generator(second, *other)
    with pytest.raises(ValueError, match=message):
        join_generators({22: first, 37: second}, output)
    assert not output.exists()


def test_files_that_do_not_say_enough(tmp_path):
    path, output = tmp_path / "w.safetensors", tmp_path / "out.safetensors"
    save_file(create_model("galteri_very_fast").state_dict(), path)
    with pytest.raises(WeightsError, match="does not say whose weights it holds; give the weights"):
        join_generators({22: path}, output)
    with pytest.raises(WeightsError, match=r"there is no weights file .*gone"):
        join_generators({22: tmp_path / "gone"}, output)
    with pytest.raises(ValueError, match="there are no files"):
        join_generators({}, output)
    write_generator(path)
    with pytest.raises(ValueError, match="in 0 to 63"):
        join_generators({64: path}, output)
    assert not output.exists()


def test_command_line(tmp_path):
    """Files, and folders of trainings, by QPs in any order."""
    (tmp_path / "37").mkdir()
    write_generator(tmp_path / "37" / "weights.safetensors")
    write_generator(tmp_path / "b.safetensors")
    words = [f"37={tmp_path / '37'}", f"22.5={tmp_path / 'b.safetensors'}"]
    output = tmp_path / "ensemble.safetensors"
    result = CliRunner().invoke(app, ["join", str(output), *words])
    assert result.exit_code == 0 and result.stdout.startswith(
        f"{output}: generators for QP 22.5, 37, "
    )
    assert options_in(output)["qps"] == [22.5, 37]
    assert len(find_model(owner_of(output), output).generators) == 2


@pytest.mark.parametrize(
    ("output", "words", "sentence"),
    [
        ("out.safetensors", ["a"], "a generator looks like 37=runs/37, got 'a'"),
        ("out.safetensors", ["x=a"], "a generator looks like 37=runs/37, got 'x=a'"),
        ("out.safetensors", ["37="], "a generator looks like 37=runs/37, got '37='"),
        ("out.safetensors", ["37=a", "37.0=b"], "there are two generators for QP 37.0"),
        ("out.safetensors", ["37=gone"], "there is no weights file gone"),
        ("out.pth", ["37=a"], "weights are a .safetensors file: out.pth needs another name"),
        ("a.safetensors", ["37=a.safetensors"], "a.safetensors is there already; delete it"),
    ],
)
def test_what_the_command_refuses(tmp_path, monkeypatch, output, words, sentence):
    monkeypatch.chdir(tmp_path)
    write_generator(tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    result = CliRunner().invoke(app, ["join", output, *words])
    assert result.exit_code == 2 and sentence in result.stderr
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
