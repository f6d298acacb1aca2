import pytest
import torch

from vqe_fast import create_model
from vqe_fast.models import spec_of


def randomised(name, **options):
    """A model whose every weight is random: as built, the last layer is zero."""
    torch.manual_seed(0)
    model = create_model(name, **options)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def test_size_of_the_papers_network():
    """34 convolution layers and the parameter count that they give."""
    model = create_model("carcnn")
    assert sum(p.numel() for p in model.parameters()) == 1_182_913
    assert sum(isinstance(m, torch.nn.Conv2d) for m in model.modules()) == 34


@pytest.mark.parametrize("name", ["carcnn", "carcnn_small"])
def test_starts_as_the_identity(name):
    """An untrained network must not be mistaken for a trained one that does harm."""
    luma = torch.rand(2, 1, 9, 11)
    assert torch.equal(create_model(name)(luma), luma)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (35, 51), (64, 48)])
@pytest.mark.parametrize("name", ["carcnn", "carcnn_small"])
def test_any_size(name, size):
    """Odd sizes are padded inside and come out as they went in."""
    assert randomised(name, width=4, blocks=1)(torch.rand(2, 1, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize("unshuffle", [1, 2, 3])
def test_receptive_field(unshuffle):
    """The spec's figure is what tiling relies on: inputs further away have no influence at all."""
    model = randomised("carcnn", width=4, blocks=2, unshuffle=unshuffle).double()
    field, alignment = spec_of(model).receptive_field, spec_of(model).alignment
    assert alignment == unshuffle
    side = 3 * field // unshuffle * unshuffle
    centre = side // 2 // unshuffle * unshuffle
    luma = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    reached = torch.zeros(side, side, dtype=torch.bool)
    for y in range(centre, centre + unshuffle):
        (gradient,) = torch.autograd.grad(model(luma)[0, 0, y, centre], luma)
        reached |= gradient[0, 0] != 0
    rows = reached.any(dim=1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == field


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_aligned_tiles_equal_the_whole(unshuffle):
    """What the spec promises: a tile with half a receptive field around gives the same values."""
    model = randomised("carcnn", width=4, blocks=1, unshuffle=unshuffle).double()
    halo = spec_of(model).receptive_field // 2
    halo += -halo % unshuffle
    luma = torch.rand(1, 1, 4 * halo, 4 * halo, dtype=torch.float64)
    tile = luma[..., : 2 * halo + 2, : 2 * halo + 2]
    kept = halo + 2
    torch.testing.assert_close(model(tile)[..., :kept, :kept], model(luma)[..., :kept, :kept])


@torch.no_grad()
@pytest.mark.parametrize("unshuffle", [1, 2])
def test_qp_adaptive(unshuffle):
    """Numbers, one a frame and maps of the same QPs agree; another QP gives another result."""
    model = randomised("carcnn", width=8, blocks=2, unshuffle=unshuffle, qp_adaptive=True)
    assert spec_of(model).takes_qp
    luma = torch.rand(2, 1, 35, 52)
    both = model(luma, torch.tensor([30, 41.5]))
    for i, qp in enumerate((30, 41.5)):
        torch.testing.assert_close(both[i], model(luma, qp)[i])
        torch.testing.assert_close(both[i], model(luma, torch.full((2, 3, 4), qp))[i])
    assert (both - model(luma, 22)).abs().max() > 1e-3


@torch.no_grad()
def test_qp_adaptive_starts_from_the_plain_network():
    """Its gains are 1 at first: the plain network's weights give the plain network's result."""
    plain = randomised("carcnn_small", width=8, blocks=2)
    adaptive = create_model("carcnn_small", width=8, blocks=2, qp_adaptive=True).eval()
    gains = adaptive.load_state_dict(plain.state_dict(), strict=False)
    assert all("modulation" in key for key in gains.missing_keys) and not gains.unexpected_keys
    luma = torch.rand(1, 1, 20, 24)
    torch.testing.assert_close(adaptive(luma, 33), plain(luma))


def test_qp_where_it_belongs():
    luma = torch.rand(1, 1, 8, 8)
    with pytest.raises(ValueError, match="qp must be given: qp_adaptive is True"):
        create_model("carcnn_small", qp_adaptive=True)(luma)
    with pytest.raises(ValueError, match="qp must not be given: qp_adaptive is False"):
        create_model("carcnn_small")(luma, 30)


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"luma must be \(B, 1, H, W\), got \(1, 3, 8, 8\)"):
        create_model("carcnn_small")(torch.rand(1, 3, 8, 8))


def test_wrong_options():
    with pytest.raises(ValueError, match="blocks must be a whole number of at least 1, got 0"):
        create_model("carcnn", blocks=0)
