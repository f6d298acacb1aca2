"""Drop-ins for pytorch-msssim, against the package, and for fused-ssim, against its formula."""

import warnings

import pytest
import torch

import vqe_fast
from vqe_fast import nn, ops


def pair(*shape, peak=255.0):
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.rand(shape, generator=generator)
    noise = 0.1 * torch.randn(shape, generator=generator)
    return peak * x, peak * (x + noise).clamp(0, 1)


def agrees(ours, theirs, x, y, close=2e-6):
    """Values, and gradients of both images."""
    x, y = x.requires_grad_(), y.requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sides that are shorter than the window
        found, expected = ours(x, y), theirs(x, y)
    torch.testing.assert_close(found, expected, rtol=0, atol=close)
    gradients = (torch.autograd.grad(value.sum(), (x, y)) for value in (found, expected))
    for a, b in zip(*gradients, strict=True):
        assert (a - b).norm() <= 1e-3 * b.norm()


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("pytorch_msssim")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size_average": False},
        {"data_range": 1.0, "win_size": 7, "win_sigma": 1.0, "K": (0.02, 0.4)},
        {"nonnegative_ssim": True, "size_average": False},
        {"channel": 3, "spatial_dims": 2},
    ],
    ids=str,
)
def test_ssim(theirs, options):
    x, y = pair(2, 3, 30, 40, peak=options.get("data_range", 255.0))
    if "nonnegative_ssim" in options:
        y = torch.stack([y[0], options.get("data_range", 255.0) - x[1]])
    agrees(nn.SSIM(**options), theirs.SSIM(**options), x, y)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size_average": False},
        {"data_range": 1.0, "win_size": 5, "win_sigma": 1.0, "K": (0.02, 0.4)},
        {"weights": [0.1, 0.2, 0.3, 0.2, 0.2], "channel": 3},
    ],
    ids=str,
)
def test_ms_ssim(theirs, options):
    x, y = pair(2, 3, 163, 170, peak=options.get("data_range", 255.0))
    agrees(nn.MS_SSIM(**options), theirs.MS_SSIM(**options), x, y)


def test_arguments_have_their_places(theirs):
    x, y = pair(2, 3, 170, 163, peak=1.0)
    values = 1.0, False, 7, 1.0, 3, 2
    agrees(nn.SSIM(*values, (0.02, 0.05), True), theirs.SSIM(*values, (0.02, 0.05), True), x, y)
    values = *values, [0.2] * 5, (0.02, 0.05)
    agrees(nn.MS_SSIM(*values), theirs.MS_SSIM(*values), x, y)


@pytest.mark.parametrize("frames", (2, 5, 11, 13))
@pytest.mark.parametrize("average", (True, False))
def test_clips(theirs, average, frames):
    """Windows over time; where there are too few frames, of each frame."""
    x, y = pair(2, 3, frames, 20, 24)
    options = {"size_average": average, "spatial_dims": 3}
    agrees(nn.SSIM(**options), theirs.SSIM(**options), x, y)


@pytest.mark.parametrize("frames", (9, 12, 17))
def test_scales_of_clips(theirs, frames):
    x, y = pair(1, 2, frames, 50, 65)
    options = {"win_size": 3, "spatial_dims": 3, "channel": 2}
    agrees(nn.MS_SSIM(**options), theirs.MS_SSIM(**options), x, y)


def test_one_frame_is_an_image():
    x, y = pair(2, 3, 1, 20, 20)
    assert nn.SSIM(spatial_dims=3)(x, y) == nn.SSIM()(x[:, :, 0], y[:, :, 0])


@pytest.mark.parametrize("size", (1, 3, 11))
def test_window_by_its_taps(theirs, size):
    """A Gaussian of another σ, with a row for each channel as there, or all equal."""
    x, y = pair(2, 3, 30, 40)
    for sigma in (0.7, 2.5, 1e6):
        taps = torch.exp(-((torch.arange(size) - size // 2.0) ** 2) / (2 * sigma**2))
        win = (taps / taps.sum()).expand(3, 1, 1, size)
        agrees(nn.SSIM(win=win), lambda x, y, win=win: theirs.ssim(x, y, win=win), x, y)


@pytest.mark.parametrize("dtype", (torch.float64, torch.bfloat16, torch.uint8), ids=str)
@pytest.mark.parametrize("dims", (2, 3))
def test_dtypes(dtype, dims):
    """16 bits are computed in float32, integers taken as they are."""
    x, y = (image.to(dtype) for image in pair(1, 2, *(12, 40, 40)[-dims:]))
    result = torch.float32 if dtype == torch.uint8 else dtype
    for module in (nn.SSIM(spatial_dims=dims), nn.MS_SSIM(spatial_dims=dims, win_size=3)):
        found = module(x, y)
        assert found.dtype == result
        expected = module(x.double(), y.double())
        assert abs(found - expected) <= 4 * torch.finfo(result).eps


@pytest.mark.parametrize("dims", (2, 3))
def test_autocast(dims):
    x, y = (image.bfloat16() for image in pair(1, 1, *(12, 20, 20)[-dims:]))
    module = nn.SSIM(spatial_dims=dims)
    with torch.autocast("cpu", torch.bfloat16):
        found = module(x, y)
    torch.testing.assert_close(found, module(x.float(), y.float()))


@pytest.mark.parametrize("shape", ((2, 3, 20, 24), (2, 3, 5, 20, 24)), ids=str)
def test_without_kernels(shape):
    x, y = pair(*shape)
    module = nn.SSIM(spatial_dims=len(shape) - 2, size_average=False)
    expected = module(x, y)
    with vqe_fast.backend("reference"):
        torch.testing.assert_close(module(x, y), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_range": 0}, "data_range"),
        ({"win_size": 4}, "odd"),
        ({"spatial_dims": 4}, "spatial_dims must be 2 or 3, got 4"),
        ({"K": (0.01,)}, "K must be two numbers, k1 and k2, got 1"),
        ({"win": torch.tensor([0.5, 0.3, 0.2])}, "taps of a Gaussian"),
        ({"win": torch.tensor([1.0, 1.0, 1.0])}, "of sum 1"),
        ({"win": torch.zeros(3)}, "taps of a Gaussian"),
        ({"win": torch.tensor([[1, 2, 1], [1, 1, 1]]) / 4}, "taps of a Gaussian"),
        ({"win": torch.ones(4) / 4}, "odd"),
    ],
    ids=str,
)
def test_wrong_options(options, message):
    for module in (nn.SSIM, nn.MS_SSIM):
        with pytest.raises(ValueError, match=message):
            module(**options)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (nn.SSIM(), (3, 20, 20), r"\(N, C, H, W\), got \(3, 20, 20\)"),
        (nn.MS_SSIM(), (1, 3, 2, 20, 20), r"\(N, C, H, W\), got \(1, 3, 2, 20, 20\)"),
        (nn.SSIM(spatial_dims=3), (1, 3, 20, 20), r"\(N, C, T, H, W\), got \(1, 3, 20, 20\)"),
        (nn.SSIM(), (1, 3, 20, 10), "at least 11×11"),
        (nn.SSIM(spatial_dims=3), (1, 3, 12, 20, 10), "at least 11×11"),
        (nn.MS_SSIM(spatial_dims=3, win_size=3), (1, 1, 9, 32, 40), "at least 33×33 for 5 scales"),
        (nn.MS_SSIM(spatial_dims=3, win_size=3), (1, 1, 8, 40, 40), "more than 8 frames .* got 8"),
    ],
)
def test_wrong_images(module, shape, message):
    with pytest.raises(ValueError, match=message):
        module(*pair(*shape))


def test_shown():
    shown = "data_range=255, size_average=True, win_size=11, spatial_dims=2, K=(0.01, 0.03)"
    assert repr(nn.SSIM()) == f"SSIM({shown})"
    assert repr(nn.MS_SSIM()) == f"MS_SSIM({shown})"


@pytest.mark.parametrize("padding", ("same", "valid"))
def test_fused_ssim(padding):
    """Zeros around the image, and a gradient for the first image alone, if for any."""
    x, y = (image.requires_grad_() for image in pair(2, 3, 20, 24, peak=1.0))
    value = nn.fused_ssim(x, y, padding)
    assert value == ops.ssim(x, y, padding=padding)
    value.backward()
    (expected,) = torch.autograd.grad(ops.ssim(x, y, padding=padding), x)
    assert torch.equal(x.grad, expected) and y.grad is None
    assert nn.fused_ssim(x, y) == nn.fused_ssim(x, y, "same")
    assert not nn.fused_ssim(x, y, padding, train=False).requires_grad
