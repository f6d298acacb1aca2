import pytest
import torch
from torch.nn import functional as F

from vqe_fast import nn
from vqe_fast.models.efficientnet import EfficientNetLite0
from vqe_fast.models.vgg import VGG
from vqe_fast.nn.perceptual import unit_distance

MEAN = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
DEVIATION = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)


@pytest.fixture(scope="module")
def vgg19():
    torch.manual_seed(0)
    return VGG(19).requires_grad_(False)


def images(channels=3, size=32):
    generator = torch.Generator().manual_seed(size)
    return torch.rand(2, 2, channels, size, size, generator=generator).unbind()


def test_pequenet_loss_at_one_scale(vgg19):
    """Eq. 4 written out; luma is repeated; only the input gets a gradient."""
    luma, target = images(1)
    luma.requires_grad_(), target.requires_grad_()
    loss = nn.pequenet_feature_loss(vgg19, scales=(1.0,))(luma, target)
    taps = [f"relu{stage}_1" for stage in range(1, 6)]
    features = [vgg19((x.repeat(1, 3, 1, 1) - MEAN) / DEVIATION, taps) for x in (luma, target)]
    weights = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)
    expected = sum(w * (a - b).abs().mean() for w, a, b in zip(weights, *features, strict=True))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert luma.grad.abs().sum() > 0 and target.grad is None


def test_pyramid(vgg19):
    """Four scales are the sum of four losses, of images blurred and thinned out."""
    x, y = images(3, 128)
    whole = nn.pequenet_feature_loss(vgg19)(x, y)
    parts = [nn.pequenet_feature_loss(vgg19, scales=(s,))(x, y) for s in (1.0, 0.5, 0.25, 0.125)]
    torch.testing.assert_close(whole, sum(parts))
    # At half the size σ is ½, and there are 2·round(4·½) + 1 = 5 taps.
    taps = torch.tensor([-2.0, -1, 0, 1, 2]).square().div(-2 * 0.25).exp()
    taps = taps / taps.sum()
    kernel = torch.outer(taps, taps).expand(3, 1, 5, 5)
    half = [F.conv2d(image, kernel, padding=2, groups=3)[..., ::2, ::2] for image in (x, y)]
    expected = nn.pequenet_feature_loss(vgg19, scales=(1.0,))(*half)
    torch.testing.assert_close(parts[1], expected)


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.float16), ids=str)
@pytest.mark.parametrize("of_images", (torch.float32, torch.float64, torch.float16), ids=str)
def test_dtypes(dtype, of_images):
    """Features in the module's dtype, distances in float32 at least, whatever the images are."""
    torch.manual_seed(0)
    loss = nn.pequenet_feature_loss(VGG(19), scales=(1.0, 0.5))
    x, y = (image.to(of_images) for image in images(3))
    expected = loss.double()(x, y)
    found = loss.to(dtype)(x.requires_grad_(), y)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.double(), expected.double(), rtol=0.05, atol=0)
    found.backward()
    assert x.grad.isfinite().all()


def test_other_papers_losses(vgg19):
    """Layers and weights of the multi-scale network and of Galteri; equal images lose nothing."""
    x, y = images()
    vgg16 = VGG(16)
    loss = nn.multiscale_feature_loss(vgg16)(x, y)
    a, b = (vgg16((image - MEAN) / DEVIATION, (9, 23)) for image in (x, y))
    torch.testing.assert_close(
        loss, 0.002 * F.mse_loss(a[0], b[0]) + 0.0015 * F.mse_loss(a[1], b[1])
    )
    alone = nn.multiscale_feature_loss(vgg16, {23: 0.0015})(x, y)
    torch.testing.assert_close(alone, 0.0015 * F.mse_loss(a[1], b[1]))
    loss = nn.galteri_feature_loss(vgg19)(x, y)
    a, b = (vgg19((image - MEAN) / DEVIATION, ("conv5_3",))[0] for image in (x, y))
    torch.testing.assert_close(loss, F.mse_loss(a, b))
    assert nn.galteri_feature_loss(vgg19)(x, x) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {}}, "weights must name at least one layer"),
        (
            {"weights": {0: 1.0}, "distance": "l3"},
            "distance must be one of l1, mse, unit; got 'l3'",
        ),
        ({"weights": {0: 1.0}, "scales": (0.3,)}, "scales must be 1 over whole numbers"),
        ({"weights": {0: 1.0}, "scales": ()}, "scales must be 1 over whole numbers"),
    ],
)
def test_wrong_options(vgg19, options, message):
    with pytest.raises(ValueError, match=message):
        nn.FeatureLoss(vgg19, **options)


def test_wrong_images(vgg19):
    loss = nn.galteri_feature_loss(vgg19)
    with pytest.raises(ValueError, match="target must have the shape of input"):
        loss(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 17))
    with pytest.raises(ValueError, match=r"input must be \(B, 1, H, W\) or"):
        loss(torch.rand(1, 2, 16, 16), torch.rand(1, 2, 16, 16))


def test_unit_distance():
    """2 − 2 cos of the angle, however long the vectors are; zeros harm no gradient."""
    a = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    b = torch.tensor([3.0, 3.0]).view(1, 2, 1, 1)
    assert unit_distance(a, b).item() == pytest.approx(2 - 2**0.5, rel=1e-5)
    assert unit_distance(a, -5 * a).item() == pytest.approx(4)
    zeros = torch.zeros(1, 2, 1, 1, requires_grad=True)
    unit_distance(zeros, b).backward()
    assert zeros.grad.isfinite().all()


def test_efficientnet_losses():
    """Stages for training, others for measuring; images as that classifier wants them."""
    torch.manual_seed(0)
    trunk = EfficientNetLite0()
    x, y = images(3, 64)
    for loss, stages in (
        (nn.efficientnet_feature_loss(trunk), ["stem", "stage1", "stage3", "stage5"]),
        (nn.efficientnet_distance(trunk), ["stage2", "stage4", "stage6"]),
    ):
        a, b = (trunk((255 * image - 127) / 128, stages) for image in (x, y))
        expected = sum(unit_distance(p, q) for p, q in zip(a, b, strict=True)) / len(stages)
        torch.testing.assert_close(loss(x, y), expected)
    weighted = nn.efficientnet_feature_loss(trunk, {"stem": 2.0})
    a, b = (trunk((255 * image - 127) / 128, ["stem"])[0] for image in (x, y))
    torch.testing.assert_close(weighted(x, y), 2 * unit_distance(a, b))
