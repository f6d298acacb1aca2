"""Networks that begin as a smaller one: the same result, and all of it can be trained."""

import pytest
import torch

from vqe_fast.models import create_model
from vqe_fast.models.dualres import QPS, DualResolution
from vqe_fast.training.checkpoint import save_weights
from vqe_fast.training.growth import load_start
from vqe_fast.weights import WeightsError, load_weights

SMALL = {"width": 8, "deep_width": 12, "before": 1, "deep": 1, "after": 2}


def random_network(**options):
    """Every weight is random, those that are zero at first too."""
    torch.manual_seed(0)
    model = create_model("dualres_s", **SMALL | options).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "small.safetensors"
    save_weights(random_network(), path, "dualres_s", SMALL, "frame")
    return path


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [
        {"width": 11},
        {"deep_width": 16},
        {"before": 3, "deep": 2, "after": 4},
        {"width": 16, "deep_width": 13, "before": 2},
    ],
)
def test_the_same_result(weights, options):
    small, large = create_model("dualres_s", **SMALL), random_network(**options)
    load_weights(small, weights)
    load_start(large, weights)
    frames = torch.rand(2, 3, 24, 40)
    arguments = (torch.tensor([20.0, 40.0]), 2, torch.tensor([1, 2]))
    torch.testing.assert_close(
        large(frames, *arguments), small(frames, *arguments), rtol=0, atol=2e-6
    )
    assert (small(frames, *arguments) - frames).abs().max() > 0.01


def test_all_of_it_can_be_trained(weights):
    """Two steps: what adds to the features gets gradients at once, what it hides at the second."""
    large = create_model("dualres_s", **SMALL | {"width": 12, "before": 2})
    load_start(large, weights)
    optimiser = torch.optim.SGD(large.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        large(torch.rand(1, 3, 24, 40), 30.0, 2, 1).square().mean().backward()
        optimiser.step()
    assert all(parameter.grad.any() for name, parameter in large.named_parameters())


def test_its_own_weights(weights):
    model = create_model("dualres_s", **SMALL)
    load_start(model, weights)
    for name, parameter in random_network().state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], parameter, rtol=1e-3, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("width", [8, 12])
def test_a_trunk(weights, width):
    """A temporal network computes what its trunk does at first; one that is larger grows too."""
    model = create_model("dualres_t", **SMALL | {"width": width}).eval()
    load_start(model, weights)
    window = torch.rand(1, 9, 3, 24, 40)
    expected = random_network()(window[:, 4], 30.0, 2, 1)
    torch.testing.assert_close(model(window, 30.0, 2, 1), expected, rtol=1e-3, atol=1e-3)


def test_one_for_other_qps(weights):
    """The rows of its tables would stand for other QPs."""
    qps = [qp + 1 for qp in QPS]
    with pytest.raises(WeightsError, match="does not fit this model"):
        load_start(create_model("dualres_s", **SMALL | {"width": 12, "qps": qps}), weights)


def test_options_of_another_version(tmp_path):
    """Where the weights fit, what else the file says of the model does not matter."""
    path = tmp_path / "w.safetensors"
    save_weights(random_network(), path, "dualres_s", SMALL | {"depth": 3}, "frame")
    model = create_model("dualres_s", **SMALL)
    load_start(model, path)
    torch.testing.assert_close(
        model.output.weight, random_network().output.weight, rtol=1e-3, atol=1e-3
    )


def test_one_that_is_not_smaller(weights):
    with pytest.raises(WeightsError, match="does not fit this model"):
        load_start(DualResolution(6, 12, 1, 1, 2), weights)
    with pytest.raises(WeightsError, match="does not fit this model"):
        load_start(create_model("carcnn_small"), weights)
