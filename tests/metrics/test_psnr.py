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


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(B, C, H, W\), got \(1, 1, 4, 4\) and \(1, 1, 4, 5\)"):
        psnr(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5))
