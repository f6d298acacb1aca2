import pytest
import torch
from torch import nn

from vqe_fast.models.blocks import ResidualBlock, he_init, xavier_init


@torch.no_grad()
@pytest.mark.parametrize("slope", (0.0, 0.2))
def test_he_init_keeps_the_size_of_what_passes(slope):
    """The mean square after ten layers is that of the first: PyTorch's own leave 10⁻⁷ of it."""
    torch.manual_seed(0)
    kinds = (lambda: nn.Conv2d(64, 64, 3, padding=1), lambda: nn.LeakyReLU(slope))
    network = nn.Sequential(*(kind() for _ in range(10) for kind in kinds))
    he_init(network, slope)
    features = nn.functional.leaky_relu(torch.randn(1, 64, 48, 48), slope)
    after = network(features)[..., 10:-10, 10:-10]
    assert 0.3 < (after.square().mean() / features.square().mean()) < 3


def test_he_init_of_residual_branches():
    """Their ends are a tenth as large; no bias is left; other layers are not touched."""
    torch.manual_seed(0)
    network = nn.Sequential(ResidualBlock(64), nn.Conv2d(64, 64, 1), nn.Linear(4, 4))
    linear = network[2].weight.clone()
    he_init(network, 0.0, branch_end="second")
    block, conv = network[0], network[1]
    for weight, expected in (
        (block.first.weight, (2 / (64 * 9)) ** 0.5),
        (block.second.weight, 0.1 * (2 / (64 * 9)) ** 0.5),
        (conv.weight, (2 / 64) ** 0.5),
    ):
        assert weight.std().item() == pytest.approx(expected, rel=0.05)
    assert not any(layer.bias.any() for layer in (block.first, block.second, conv))
    assert torch.equal(network[2].weight, linear)


def test_xavier_init():
    """Uniform within ±√(6 / (fan in + fan out)), of deconvolutions too; no bias is left."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(16, 48, 3), nn.ConvTranspose2d(48, 16, 4))
    xavier_init(network)
    for layer, taps in zip(network, (9, 16), strict=True):
        bound = (6 / ((16 + 48) * taps)) ** 0.5
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
        assert not layer.bias.any()
