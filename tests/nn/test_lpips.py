import copy

import pytest
import torch

from vqe_fast import nn
from vqe_fast.models.alexnet import AlexNet
from vqe_fast.models.vgg import VGG
from vqe_fast.nn.lpips import ALEXNET_TAPS, VGG16_TAPS
from vqe_fast.weights import WeightsError
from vqe_fast.weights.trunks import lpips_heads

CHANNELS = {"vgg16": (64, 128, 256, 512, 512), "alexnet": (64, 192, 384, 256, 256)}
TRUNKS = {"vgg16": (lambda: VGG(16), VGG16_TAPS), "alexnet": (AlexNet, ALEXNET_TAPS)}


@pytest.fixture(scope="module", params=list(TRUNKS))
def parts(request):
    """Name, random trunk, taps and random heads."""
    torch.manual_seed(0)
    build, taps = TRUNKS[request.param]
    heads = [torch.rand(channels) for channels in CHANNELS[request.param]]
    return request.param, build().requires_grad_(False), taps, heads


def pair(channels=3, size=40):
    generator = torch.Generator().manual_seed(size)
    return torch.rand(2, 2, channels, size, size, generator=generator).unbind()


def test_against_its_definition(parts):
    """Scaled as published, each position's features to length 1, weighted, averaged, added."""
    _, trunk, taps, heads = parts
    input, target = pair()
    shift = torch.tensor((-0.030, -0.088, -0.188)).view(3, 1, 1)
    scale = torch.tensor((0.458, 0.448, 0.450)).view(3, 1, 1)
    expected = torch.zeros(2)
    for tap, head in zip(taps, heads, strict=True):
        a, b = (
            torch.nn.functional.normalize(trunk(((x * 2 - 1) - shift) / scale, [tap])[0])
            for x in (input, target)
        )
        expected += ((a - b) ** 2 * head.view(-1, 1, 1)).sum(1).mean((1, 2))
    distances = nn.LPIPS(trunk, heads, taps, reduction="none")(input, target)
    torch.testing.assert_close(distances, expected)
    torch.testing.assert_close(nn.LPIPS(trunk, heads, taps)(input, target), expected.mean())


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.float16), ids=str)
@pytest.mark.parametrize("of_images", (torch.float32, torch.bfloat16, torch.float64), ids=str)
def test_dtypes(parts, dtype, of_images):
    """Features in the module's dtype, distances in float32 at least, whatever the images are."""
    _, trunk, taps, heads = parts
    lpips = nn.LPIPS(copy.deepcopy(trunk), heads, taps)
    input, target = (image.to(of_images) for image in pair())
    expected = lpips.double()(input, target)
    input = input.requires_grad_()
    seen = []
    hook = lpips.trunk.register_forward_hook(lambda *call: seen.extend(call[2]))
    distance = lpips.to(dtype)(input, target)
    hook.remove()
    assert len(seen) == 10 and all(features.dtype == dtype for features in seen)
    assert distance.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(distance.double(), expected, rtol=0.05, atol=0)
    distance.backward()
    assert input.grad.isfinite().all() and input.grad.dtype == of_images


def test_autocast(parts):
    """The trunk in autocast's dtype, and distances that keep the digits of float32."""
    _, trunk, taps, heads = parts
    lpips = nn.LPIPS(trunk, heads, taps)
    input, target = pair()
    with torch.autocast("cpu", torch.bfloat16):
        distance = lpips(input, target)
        a, b = (lpips._features(image) for image in (input, target))
    assert distance.dtype == torch.float32
    expected = [
        ((x - y) ** 2 * head.view(-1, 1, 1)).sum(1).mean((1, 2))
        for x, y, head in zip(a, b, heads, strict=True)
    ]
    torch.testing.assert_close(distance, sum(expected).mean())


def test_gradients(parts):
    """Only the input has one, and also where the trunk sees nothing at all."""
    _, trunk, taps, heads = parts
    input, target = pair(1)
    input.requires_grad_(), target.requires_grad_()
    nn.LPIPS(trunk, heads, taps)(input, target).backward()
    assert input.grad.any() and input.grad.isfinite().all() and target.grad is None
    blind = [lambda images, taps: [0 * images.sum(1, keepdim=True)] * 5, [torch.ones(1)] * 5]
    (gradient,) = torch.autograd.grad(nn.LPIPS(*blind)(input, target), input)
    assert not gradient.any()


def test_same_image_and_luma(parts):
    _, trunk, taps, heads = parts
    loss = nn.LPIPS(trunk, heads, taps)
    luma, other = pair(1)
    assert loss(luma, luma) == 0
    repeated = loss(luma.repeat(1, 3, 1, 1), other.repeat(1, 3, 1, 1))
    torch.testing.assert_close(loss(luma, other), repeated)


def test_trade_off(parts):
    _, trunk, taps, heads = parts
    input, target = pair()
    lpips = nn.LPIPS(trunk, heads, taps)
    error = ((input - target).square() + 1e-12).sqrt().sum()
    expected = 0.15 * error + 10000 * lpips(input, target)
    torch.testing.assert_close(nn.TradeOffLoss(lpips)(input, target), expected)


def standard_file(heads):
    """As the package ``lpips`` stores them."""
    return {f"lin{n}.model.1.weight": head.view(1, -1, 1, 1) for n, head in enumerate(heads)}


def test_heads_from_a_file(parts, tmp_path, monkeypatch):
    name, _, _, heads = parts
    torch.save(standard_file(heads), tmp_path / "heads.pth")
    monkeypatch.setenv(f"VQE_FAST_LPIPS_{name.upper()}", str(tmp_path / "heads.pth"))
    for loaded in (lpips_heads(name, tmp_path / "heads.pth"), lpips_heads(name)):
        assert all(torch.equal(a, b) for a, b in zip(loaded, heads, strict=True))


def test_wrong_files(tmp_path):
    squeeze = standard_file([torch.ones(3)] * 7)
    torch.save(squeeze, tmp_path / "squeeze.pth")
    with pytest.raises(WeightsError, match=r"squeeze.pth holds no heads of LPIPS on vgg16.* found"):
        lpips_heads("vgg16", tmp_path / "squeeze.pth")
    with pytest.raises(ValueError, match="name must be one of vgg16, alexnet; got 'vgg19'"):
        lpips_heads("vgg19")


def test_wrong_arguments(parts):
    _, trunk, taps, heads = parts
    with pytest.raises(ValueError, match="heads must be one for each of 5 taps, got 4"):
        nn.LPIPS(trunk, heads[:4], taps)
    with pytest.raises(ValueError, match="reduction must be one of mean, none; got 'sum'"):
        nn.LPIPS(trunk, heads, taps, reduction="sum")
    with pytest.raises(ValueError, match=r"input must be .B, 1, H, W. or .* got \(2, 2, 40, 40\)"):
        nn.LPIPS(trunk, heads, taps)(*pair(2))
