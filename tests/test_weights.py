from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from vqe_fast import create_model
from vqe_fast.models.galteri import QualityPredictor
from vqe_fast.weights import (
    WeightsError,
    load_shipped,
    load_weights,
    model_of_card,
    models_with_sharp_weights,
    sharp_card,
    shipped,
    shipped_options,
)


@pytest.fixture
def model():
    return create_model("carcnn", width=4, blocks=1)


def test_round_trip_from_float16(model, tmp_path):
    """Files hold float16; the model keeps its own dtype."""
    state = {key: torch.rand_like(value) for key, value in model.state_dict().items()}
    save_file({key: value.half() for key, value in state.items()}, tmp_path / "w.safetensors")
    load_weights(model, tmp_path / "w.safetensors")
    for key, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[key].half().float())


def test_missing_file(model, tmp_path):
    with pytest.raises(WeightsError, match=r"there is no weights file .*none.safetensors"):
        load_weights(model, tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a weights file", b"\xff" * 64])
def test_unreadable_file(model, tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"is not a readable .safetensors file"):
        load_weights(model, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("head.weight"), "it lacks head.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "it has an unknown entry extra"),
        (lambda state: state.update({"head.bias": torch.zeros(9)}), "another shape for head.bias"),
    ],
)
def test_weights_of_another_model(model, tmp_path, change, message):
    """Nothing is loaded in part."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {key: torch.rand_like(value) for key, value in before.items()}
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=message):
        load_weights(model, tmp_path / "w.safetensors")
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_none_ship_for_this_model(model):
    with pytest.raises(WeightsError, match="no weights ship for the model 'carcnn'"):
        load_shipped(model, "carcnn")


@pytest.mark.parametrize("name", list(shipped()))
def test_what_ships_loads_and_has_a_card(name):
    """Every card tells where the weights come from, and what they gain or how well they guess."""
    owner, options = model_of_card(name), shipped_options(name)
    kind = {"quality_predictor": QualityPredictor}.get(owner, partial(create_model, owner))
    model = kind(**options)
    load_shipped(model, name)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    card = shipped()[name]
    assert {"file", "recipe", "data", "validated_on", "steps", "seed"} <= card.keys()
    gains = card.get("measured", {}).values()
    assert all(gain["psnr_gain"] > 0 for gain in gains)
    # Sharp weights trade some of what SSIM rewards, too; how much of PSNR, the next test says.
    assert name != owner or all(gain["ssim_gain"] > 0 for gain in gains)
    assert all(gain["worst_psnr_gain"] > -0.05 for gain in gains)
    assert gains or name == "quality_predictor"


@pytest.mark.parametrize("name", models_with_sharp_weights())
def test_what_sharp_weights_cost(name):
    """PSNR, but little of it where compression is strong."""
    faithful, sharp = (shipped()[card]["measured"] for card in (name, sharp_card(name)))
    for setting in ("x264 CRF 35", "x265 QP 37"):
        assert sharp[setting]["psnr_gain"] >= faithful[setting]["psnr_gain"] - 0.15
