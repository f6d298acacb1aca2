"""What SSIM takes beside images (B, C, H, W): weights, the map, other windows, planes, integers."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from support.contract import DEVICES
from support.similarity import similarity, uniform
from vqe_fast import nn, ops, reference

BOTH = pytest.mark.parametrize("library", (ops, reference), ids=("ops", "reference"))


def pair(shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = torch.rand(shape, generator=generator, dtype=torch.float64)
    return x.to(dtype), (0.8 * x + 0.2 * noise).to(dtype)


@BOTH
@pytest.mark.parametrize("size", (1, 3, 7, 33))
def test_uniform_window(size, library):
    """All taps are the same, whatever sigma."""
    x, y = pair((1, 2, 36, 40))
    options = {"window": "uniform", "window_size": size, "reduction": "none"}
    for sigma in (1.5, 0.2):
        found = library.ssim(x, y, sigma=sigma, **options)
        torch.testing.assert_close(found, similarity(x, y, uniform(size)))


@BOTH
def test_uniform_window_in_scales(library):
    x, y = pair((1, 1, 30, 30))
    taps = uniform(5)
    halves = [torch.nn.functional.avg_pool2d(image, 2) for image in (x, y)]
    contrast = similarity(x, y, taps, c1=1e12).mean()
    expected = contrast**0.3 * similarity(*halves, taps).mean() ** 0.7
    found = library.ms_ssim(x, y, window="uniform", window_size=5, weights=(0.3, 0.7))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("device", DEVICES)
def test_agrees_with_scikit_image_as_it_is(device):
    """Uniform windows of 7, and unbiased variances by another k2."""
    metrics = pytest.importorskip("skimage.metrics")
    x, y = pair((3, 40, 50))
    theirs = metrics.structural_similarity(x.numpy(), y.numpy(), data_range=1.0, channel_axis=0)
    x, y = x.to(device), y.to(device)
    ours = ops.ssim(x, y, window="uniform", window_size=7, k2=0.03 * (48 / 49) ** 0.5)
    assert ours.item() == pytest.approx(theirs, abs=1e-12)


@BOTH
@pytest.mark.parametrize("reduction", ("mean", "sum", "none"))
@pytest.mark.parametrize("shape", ((2, 3, 20, 24), (1, 20, 24), (2, 1, 1, 1), (24,)), ids=str)
@pytest.mark.parametrize("padding", ("valid", "same"))
def test_weight(padding, shape, reduction, library):
    """A window has the weight of the pixel in its middle; a mean is over the windows."""
    x, y = pair((2, 3, 20, 24))
    weight = torch.randn(shape, dtype=torch.float64)
    each = reference.ssim(x, y, padding=padding, reduction="none")
    middles = weight.expand(x.shape)
    if padding == "valid":
        middles = middles[..., 5:-5, 5:-5]
    for name, values in (("ssim", each), ("ssim_loss", 1 - each)):
        weighted = middles * values
        expected = {"none": weighted, "mean": weighted.mean(), "sum": weighted.sum()}[reduction]
        options = {"padding": padding, "reduction": reduction, "weight": weight}
        torch.testing.assert_close(getattr(library, name)(x, y, **options), expected)


@BOTH
@pytest.mark.parametrize("reduction", ("mean", "sum", "none"))
def test_weight_of_both_losses(reduction, library):
    x, y = pair((2, 3, 20, 24))
    weight = torch.rand(2, 1, 20, 24, dtype=torch.float64)
    each = reference.ssim(x, y, padding="same", reduction="none")
    weighted = weight * (0.3 * (1 - each) + 0.7 * (x - y) ** 2)
    expected = {"none": weighted, "mean": weighted.mean(), "sum": weighted.sum()}[reduction]
    options = {"padding": "same", "reduction": reduction, "weight": weight}
    torch.testing.assert_close(library.ssim_mse_loss(x, y, 0.3, **options), expected)


@pytest.mark.parametrize("padding", ("valid", "same"))
def test_gradients_of_weighted_losses(padding):
    leaves = [image.requires_grad_() for image in pair((1, 1, 12, 13))]
    leaves.append(torch.rand(12, 13, dtype=torch.float64, requires_grad=True))

    def loss(x, y, weight):
        return ops.ssim_loss(x, y, padding=padding, weight=weight)

    assert torch.autograd.gradcheck(loss, leaves, fast_mode=True)


def test_masks_and_dtypes():
    """The result has the dtype of the images, whatever that of the weights."""
    x, y = pair((1, 1, 16, 16), torch.bfloat16)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[7, 9] = True
    loss = ops.ssim_loss(x, y, reduction="sum", weight=mask)
    assert loss.dtype == torch.bfloat16
    expected = ops.ssim_loss(x, y, reduction="none")[0, 0, 2, 4]
    assert loss == expected == ops.ssim_loss(x, y, reduction="sum", weight=mask.double())


@BOTH
@pytest.mark.parametrize("reduction", ("mean", "sum"))
def test_full(reduction, library):
    """The value beside its map, which is without weights."""
    x, y = (image.requires_grad_() for image in pair((2, 3, 20, 24)))
    weight = torch.rand(20, 24, dtype=torch.float64)
    expected = library.ssim(x, y, reduction="none")
    for options in ({}, {"weight": weight}):
        value, each = library.ssim(x, y, reduction=reduction, full=True, **options)
        torch.testing.assert_close(each, expected)
        torch.testing.assert_close(value, library.ssim(x, y, reduction=reduction, **options))
        assert value.requires_grad and each.requires_grad


@BOTH
@pytest.mark.parametrize("lead", ((), (3,), (2, 3, 4), (2, 1, 3, 2)), ids=str)
def test_other_leading_dimensions(lead, library):
    """Each plane is one by itself, frames of clips among them."""
    x, y = pair((*lead, 20, 22))
    weight = torch.rand(lead, dtype=torch.float64)[..., None, None]
    planes = [image.reshape(1, -1, 20, 22) for image in (x, y)]
    options = {"window_size": 5, "weights": (0.5, 0.5)}
    multiple = library.ms_ssim(*planes, reduction="none", **options)
    each = library.ssim(*planes, reduction="none")
    torch.testing.assert_close(library.ssim(x, y), each.mean())
    torch.testing.assert_close(library.ssim(x, y, reduction="sum"), each.sum())
    each = each.reshape(*lead, 10, 12)
    torch.testing.assert_close(library.ssim(x, y, reduction="none"), each)
    weighted = library.ssim(x, y, reduction="none", weight=weight)
    torch.testing.assert_close(weighted, weight * each)
    torch.testing.assert_close(
        library.ms_ssim(x, y, reduction="none", **options), multiple.reshape(lead)
    )
    loss = library.ms_ssim_loss(x, y, reduction="sum", **options)
    torch.testing.assert_close(loss, (1 - multiple).sum())


@BOTH
@pytest.mark.parametrize("dtype", (torch.uint8, torch.int16, torch.uint16, torch.int64), ids=str)
def test_integers(dtype, library):
    """As their values in float32; of one image or of both."""
    x, y = ((255 * image).to(dtype) for image in pair((1, 2, 30, 30)))
    options = {"data_range": 255, "window_size": 5}
    for function, more in (
        (library.ssim, {}),
        (library.ssim_loss, {}),
        (library.ssim_mse_loss, {}),
        (library.ms_ssim, {"weights": (0.5, 0.5)}),
    ):
        expected = function(x.float(), y.float(), **options, **more)
        assert expected.dtype == torch.float32
        assert torch.equal(function(x, y, **options, **more), expected)
        assert torch.equal(function(x.float(), y, **options, **more), expected)


class Calls(TorchDispatchMode):
    """Keeps the names of what is called on tensors."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*arguments, **(options or {}))


def test_sums_need_no_map():
    x, y = pair((1, 2, 20, 20))
    with Calls() as calls:
        ops.ssim(x.requires_grad_(), y)
        ops.ssim_mse_loss(x, y, padding="same", reduction="sum")
    computed = [name for name in calls.names if name not in ("detach", "promote_types")]
    assert computed == ["ssim_mean", "ssim_mean", "mul"]


@pytest.mark.parametrize("module", (nn.SSIMLoss, nn.SSIMMSELoss))
def test_modules_take_weights(module):
    x, y = pair((1, 2, 16, 16))
    weight = torch.rand(16, 16, dtype=torch.float64)
    expected = module.function(x, y, padding="same", weight=weight)
    assert torch.equal(module(padding="same")(x, y, weight), expected)
