import pytest
import torch
from torch import nn

from vqe_fast.training import train as module
from vqe_fast.training.measure import measure, summarise
from vqe_fast.training.recipe import Recipe, read_recipe
from vqe_fast.training.train import learning_rate, train


def recipe(**changes):
    return Recipe.model_validate(
        {
            "model": "carcnn",
            "options": {"width": 8, "blocks": 1},
            "loss": "charbonnier",
            "loss_options": {"eps": 0.001},
            "data": {
                "degradations": [{"codec": "libx264", "mode": "qp", "values": [36, 44]}],
                "patch": 32,
                "batch": 4,
            },
            "optimiser": {"rate": 0.003, "steps": 60, "warmup": 5, "ema": 0.8},
            "precision": "fp32",
            "report_every": 10,
            "checkpoint_every": 7,
        }
        | changes
    )


@pytest.mark.parametrize(
    ("loss", "loss_options", "gained", "at_least"),
    [
        ("charbonnier", {"eps": 0.001}, "psnr_gain", 0.1),
        ("ssim_mse", {"alpha": 0.79}, "ssim_gain", 0.02),
    ],
)
def test_training_helps(loss, loss_options, gained, at_least, degraded, tmp_path):
    """A network of 2,489 parameters gains on the noise that it was trained on in 150 steps."""
    reports = []
    optimiser = {"rate": 0.005, "steps": 150, "warmup": 5, "ema": 0.8}
    chosen = recipe(optimiser=optimiser, loss=loss, loss_options=loss_options)
    model = train(chosen, [degraded], tmp_path, report=reports.append)
    assert [progress.step for progress in reports] == list(range(10, 151, 10))
    gains = summarise(measure(model, [degraded]))
    assert gains.keys() == {"x264 QP 36", "x264 QP 44"}
    assert sum(gain[gained] for gain in gains.values()) > at_least
    assert all(gain["ssim_gain"] > 0.002 for gain in gains.values())


def test_relative_loss_counts_every_patch_alike():
    """Halving the error of a good patch is worth what halving that of a bad one is."""
    target = torch.zeros(2, 1, 8, 8)
    errors = torch.tensor([0.2, 0.01]).view(2, 1, 1, 1).expand_as(target)
    losses = []
    for halved in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.5)):
        factors = torch.tensor(halved).view(2, 1, 1, 1)
        losses.append(module.relative_charbonnier_loss(errors * factors, target, 1e-6))
    torch.testing.assert_close(losses[0] - losses[1], losses[0] - losses[2])
    assert losses[1] < losses[0]


def test_starts_from_given_weights(degraded, tmp_path):
    """With a rate of almost nothing the result is what it started from."""
    first = train(recipe(), [degraded], tmp_path / "first").state_dict()
    still = recipe(optimiser={"rate": 1e-12, "steps": 2, "warmup": 1})
    start = tmp_path / "first" / "weights.safetensors"
    second = train(still, [degraded], tmp_path / "second", weights=start).state_dict()
    for key, value in first.items():
        torch.testing.assert_close(second[key], value, rtol=1e-3, atol=1e-6)


def test_resumed_run_gives_the_same_weights(degraded, tmp_path):
    """Bit for bit, from the last checkpoint."""

    class Interrupted(Exception):
        pass

    def interrupt(progress):
        if progress.step == 20:
            raise Interrupted

    whole = train(recipe(), [degraded], tmp_path / "whole").state_dict()
    with pytest.raises(Interrupted):
        train(recipe(), [degraded], tmp_path / "parts", report=interrupt)
    assert not (tmp_path / "parts" / "weights.safetensors").exists()
    steps = []
    parts = train(
        recipe(), [degraded], tmp_path / "parts", report=lambda p: steps.append(p.step)
    ).state_dict()
    assert steps[0] == 20
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_loss_that_is_not_finite_stops_the_run(degraded, tmp_path, monkeypatch):
    monkeypatch.setitem(module.LOSSES, "charbonnier", lambda x, y, eps: (x - y).sum() / 0)
    with pytest.raises(FloatingPointError, match="the loss of step 0 is"):
        train(recipe(), [degraded], tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_learning_rate_schedule():
    """Rises to the full rate at the end of the warm-up, ends at almost nothing."""
    optimiser = recipe().optimiser
    rates = [learning_rate(optimiser, step) for step in range(optimiser.steps)]
    assert rates[optimiser.warmup] == max(rates) == optimiser.rate
    assert rates[0] == optimiser.rate / optimiser.warmup
    assert 0 < rates[-1] < 0.01 * optimiser.rate


def test_measuring_a_model_that_does_nothing(degraded):
    for row in measure(nn.Identity(), [degraded]):
        assert row.psnr_gain == 0 and row.ssim_gain == 0 and 15 < row.psnr_before < 45


def test_unknown_recipe_keys_are_refused_by_name(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("model: carcnn\nlos: charbonnier\n")
    with pytest.raises(
        ValueError, match=r"r\.yaml is not as it must be: .*los: Extra inputs are not permitted"
    ):
        read_recipe(path)
    path.write_text("model: [")
    with pytest.raises(ValueError, match=r"r\.yaml is not valid YAML"):
        read_recipe(path)
