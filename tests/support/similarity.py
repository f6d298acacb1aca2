"""SSIM from its definition: one convolution with the whole window, of each plane."""

import torch
from torch.nn import functional


def gaussian(size=11, sigma=1.5):
    """A window of taps of sum 1, in float64."""
    taps = torch.exp(-((torch.arange(size).double() - size // 2) ** 2) / (2 * sigma**2))
    return taps / taps.sum()


def uniform(size):
    return torch.full((size,), 1 / size, dtype=torch.float64)


def similarity(x, y, taps=None, c1=1e-4, c2=9e-4, unbiased=False):
    """The map, (…, H', W'), of images in float64."""
    x, y = x.double(), y.double()
    taps = gaussian() if taps is None else taps
    kernel = (taps[:, None] * taps)[None, None]
    factor = kernel.numel() / (kernel.numel() - 1) if unbiased else 1

    def mean(values):
        means = functional.conv2d(values.reshape(-1, 1, *values.shape[-2:]), kernel)
        return means.reshape(*values.shape[:-2], *means.shape[-2:])

    mean_x, mean_y = mean(x), mean(y)
    variances = factor * (mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2)
    covariance = factor * (mean(x * y) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)
