import pytest
import torch

from vqe_fast import nn


def test_lsgan():
    """Eq. 3 and 6 of PeQuENet; a discriminator that is right loses nothing."""
    fake, real = torch.tensor([0.5, -1.0]), torch.tensor([1.0, 3.0])
    assert nn.lsgan_generator_loss(fake).item() == pytest.approx((0.25 + 4) / 2)
    expected = (0.25 + 1) / 4 + 4 / 4
    assert nn.lsgan_discriminator_loss(fake, real).item() == pytest.approx(expected)
    assert nn.lsgan_discriminator_loss(torch.zeros(2), torch.ones(2)) == 0


def test_standard_losses():
    """Eq. 4 and 7 of Galteri; probabilities of 0 and 1 stay finite."""
    fake, real = torch.tensor([0.25]), torch.tensor([0.5])
    assert nn.adversarial_generator_loss(fake).item() == pytest.approx(-torch.log(fake).item())
    expected = -torch.log(real).item() - torch.log(1 - fake).item()
    assert nn.adversarial_discriminator_loss(fake, real).item() == pytest.approx(expected)
    assert nn.adversarial_generator_loss(torch.zeros(1)).isfinite()


def test_feature_matching():
    """Eq. 5 of PeQuENet; the originals get no gradient."""
    fake = [torch.rand(2, 3, 4, 4, requires_grad=True), torch.rand(2, 5, requires_grad=True)]
    real = [torch.rand(2, 3, 4, 4, requires_grad=True), torch.rand(2, 5, requires_grad=True)]
    loss = nn.feature_matching_loss(fake, real)
    expected = sum((a - b).abs().mean() for a, b in zip(fake, real, strict=True))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(f.grad is not None for f in fake) and all(r.grad is None for r in real)
    with pytest.raises(ValueError, match="features of the same layers, got 2 and 1"):
        nn.feature_matching_loss(fake, real[:1])
