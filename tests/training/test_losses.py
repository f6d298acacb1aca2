import pytest
import torch

from vqe_fast.training.losses import TermLoss, build_losses, relative_mse_loss
from vqe_fast.training.recipe import LossTerm


def frames(seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.rand(2, 3, 8, 8, generator=generator)


def test_relative_mse_is_a_share_of_the_error():
    """Nothing gained is 1, half of the error left a quarter, whatever the compression was."""
    pristine = frames(0)
    compressed = pristine + torch.tensor([0.01, 0.1]).view(2, 1, 1, 1) * (frames(1) - 0.5)
    assert relative_mse_loss(compressed, pristine, compressed, floor=0.0) == pytest.approx(1)
    halved = (compressed + pristine) / 2
    share = relative_mse_loss(halved, pristine, compressed, floor=0.0)
    assert share == pytest.approx(0.25, rel=1e-4)


def test_weights_of_channels_and_floor():
    pristine = torch.zeros(1, 3, 4, 4)
    compressed = torch.full((1, 3, 4, 4), 0.1)
    output = torch.tensor([0.1, 0.0, 0.2]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    given = (output, pristine, compressed)
    assert relative_mse_loss(*given, floor=[0.0, 0.01, 0.0]) == pytest.approx((1 + 0 + 4) / 3)
    assert relative_mse_loss(*given, floor=0.0) == pytest.approx((1 + 0 + 4) / 3)
    assert relative_mse_loss(*given, floor=0.0, weights=[2, 1, 1]) == pytest.approx(6 / 4)
    assert relative_mse_loss(*given, floor=0.01, weights=[1, 0, 0]) == pytest.approx(0.5)


def test_flat_patches_without_error_count_for_nothing():
    flat = torch.full((1, 1, 4, 4), 0.5)
    output = flat.clone().requires_grad_()
    relative_mse_loss(output + 1e-4, flat, flat).backward()
    assert output.grad.abs().max() < 1


def test_terms_get_what_they_take():
    output, pristine, compressed = frames(0), frames(1), frames(2)
    losses = build_losses([LossTerm(name="mse"), LossTerm(name="relative_mse", weight=2.0)])
    given = (output, pristine, compressed)
    assert losses["mse"](*given) == pytest.approx((output - pristine).square().mean().item())
    assert losses["relative_mse"](*given) == pytest.approx(2 * relative_mse_loss(*given).item())


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="the loss relative_mse: got an unexpected"):
        TermLoss(LossTerm(name="relative_mse", options={"flor": 1}))
