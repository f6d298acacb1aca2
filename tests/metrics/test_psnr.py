"""Peak signal-to-noise ratio, against scikit-image."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from vqe_fast.metrics import psnr


@pytest.mark.parametrize(
    ("dtype", "peak"), [(torch.uint8, 255), (torch.uint16, 1023), (torch.float32, 255)]
)
def test_agrees_with_scikit_image(dtype, peak):
    generator = torch.Generator().manual_seed(0)
    images, originals = torch.randint(0, peak + 1, (2, 3, 3, 9, 7), generator=generator).to(dtype)
    found = psnr(images, originals, peak=peak)
    assert found.dtype == torch.float64
    for value, image, original in zip(found, images, originals, strict=True):
        expected = peak_signal_noise_ratio(original.numpy(), image.numpy(), data_range=peak)
        assert value.item() == pytest.approx(expected, rel=1e-9)


def test_equal_images():
    image = torch.rand(1, 1, 4, 4)
    assert psnr(image, image).item() == float("inf")


def test_ceiling():
    """Equal images have it, worse ones keep their own; NaN is not hidden by it."""
    image = torch.zeros(3, 1, 4, 4)
    other = torch.stack([image[0], image[1] + 0.1, image[2] + float("nan")])
    limited = psnr(image, other, ceiling=100.0)
    torch.testing.assert_close(limited[:2], torch.tensor([100.0, 20.0]).double())
    assert limited[2].isnan()
    assert psnr(image[1], other[1], ceiling=15.0).item() == 15


def test_one_image():
    pair = torch.rand(2, 1, 3, 4, 5)
    assert torch.equal(psnr(*pair[:, 0]), psnr(*pair)[0])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 1, 4, 4), (1, 1, 4, 5)), r"\(B, C, H, W\).*got \(1, 1, 4, 4\) and \(1, 1, 4, 5\)"),
        (((1, 2, 3, 4, 4),) * 2, "frames of clips in B"),
        (((4, 4),) * 2, r"or \(C, H, W\)"),
    ],
)
def test_other_shapes_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        psnr(*map(torch.zeros, shapes))
