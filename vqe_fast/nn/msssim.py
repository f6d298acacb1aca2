"""SSIM and MS-SSIM under the names, arguments and defaults of pytorch-msssim and fused-ssim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vqe_fast.ops import ms_ssim, ssim
from vqe_fast.ops._volumes import ms_ssim_of_volumes, ssim_of_volumes
from vqe_fast.ops.ssim import check_multiscale_options, ssim_of_planes
from vqe_fast.reference.ssim import MS_SSIM_WEIGHTS


class _PytorchMsssim(nn.Module):
    """What both modules of pytorch-msssim have; ``options`` are those of our functions."""

    def __init__(
        self,
        data_range: float,
        size_average: bool,
        win_size: int,
        win_sigma: float,
        spatial_dims: int,
        K: Sequence[float],
        win: Tensor | None,
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
        if len(K) != 2:
            raise ValueError(f"K must be two numbers, k1 and k2, got {len(K)}")
        self.options: dict[str, Any] = {"data_range": data_range, "k1": K[0], "k2": K[1]}
        window = {"window_size": win_size, "sigma": win_sigma} if win is None else _window_of(win)
        self.options.update(window)
        self.size_average = size_average
        self.spatial_dims = spatial_dims

    def extra_repr(self) -> str:
        """The main options, for ``repr``."""
        options = {
            "data_range": self.options["data_range"],
            "size_average": self.size_average,
            "win_size": self.options["window_size"],
            "spatial_dims": self.spatial_dims,
            "K": (self.options["k1"], self.options["k2"]),
        }
        return ", ".join(f"{name}={value!r}" for name, value in options.items())

    def _check(self, X: Tensor, Y: Tensor) -> None:
        if X.dim() != 2 + self.spatial_dims:
            shape = "(N, C, H, W)" if self.spatial_dims == 2 else "(N, C, T, H, W)"
            raise ValueError(
                f"with spatial_dims={self.spatial_dims} images must be {shape}, "
                f"got {tuple(X.shape)}"
            )

    def _average(self, planes: Tensor) -> Tensor:
        return planes.mean() if self.size_average else planes.mean(1)


class SSIM(_PytorchMsssim):
    """SSIM as a module, a drop-in for ``pytorch_msssim.SSIM``; see :func:`vqe_fast.ops.ssim`.

    The arguments, their order and their defaults are those of pytorch-msssim 1.0: ``data_range``
    is 255, and the result is SSIM, not a loss. What differs: ``win``, there an argument of the
    function, is one of the module; integers are taken; an image that is smaller than the window is
    refused, where that package does not blur along its short sides.

    Args:
        data_range: the difference between the largest and the smallest possible value.
        size_average: one value for all images, else one of each.
        win_size: side of the window in pixels, odd, 1 to 33.
        win_sigma: standard deviation of the window in pixels.
        channel: not used, images may have any number of channels.
        spatial_dims: 2 for images; 3 for clips under windows that reach over time as well, in
            plain PyTorch. Where a clip has fewer frames than ``win_size``, each frame has windows
            of its own, and they are fused.
        K: stabilisers of the means and of the variances.
        nonnegative_ssim: the SSIM of a plane that is below 0 counts as 0.
        win: taps, in place of ``win_size`` and ``win_sigma``, in the last dimension; those of a
            Gaussian, or all equal.

    Raises:
        ValueError: an option is out of its range, or ``win`` another window.
    """

    def __init__(
        self,
        data_range: float = 255,
        size_average: bool = True,
        win_size: int = 11,
        win_sigma: float = 1.5,
        channel: int = 3,
        spatial_dims: int = 2,
        K: Sequence[float] = (0.01, 0.03),
        nonnegative_ssim: bool = False,
        *,
        win: Tensor | None = None,
    ) -> None:
        super().__init__(data_range, size_average, win_size, win_sigma, spatial_dims, K, win)
        check_multiscale_options(**self.options)
        self.nonnegative_ssim = nonnegative_ssim

    def forward(self, X: Tensor, Y: Tensor) -> Tensor:
        """SSIM of images.

        Args:
            X: (N, C, H, W), or with ``spatial_dims=3`` (N, C, T, H, W).
            Y: the same shape.

        Returns:
            A scalar, or (N,) without ``size_average``.

        Raises:
            TypeError: as :func:`vqe_fast.ops.ssim`.
            ValueError: as :func:`vqe_fast.ops.ssim`, or the images have other dimensions.
        """
        self._check(X, Y)
        if self.spatial_dims == 2:
            planes = ssim_of_planes(X, Y, **self.options)
        elif X.shape[2] < self.options["window_size"]:
            frames = ssim_of_planes(X.flatten(1, 2), Y.flatten(1, 2), **self.options)
            planes = frames.unflatten(1, X.shape[1:3]).mean(2)
        else:
            planes = ssim_of_volumes(X, Y, **self.options)
        return self._average(planes.relu() if self.nonnegative_ssim else planes)


class MS_SSIM(_PytorchMsssim):
    """MS-SSIM as a module, a drop-in for ``pytorch_msssim.MS_SSIM``.

    See :func:`vqe_fast.ops.ms_ssim`; what differs from pytorch-msssim is what does for
    :class:`SSIM`, and images may be smaller where there are fewer ``weights`` than five.

    Args:
        data_range: the difference between the largest and the smallest possible value.
        size_average: one value for all images, else one of each.
        win_size: side of the window in pixels, odd, 1 to 33.
        win_sigma: standard deviation of the window in pixels.
        channel: not used, images may have any number of channels.
        spatial_dims: 2 for images; 3 for clips, in plain PyTorch, of which the number of frames is
            halved from scale to scale as well.
        weights: the exponent of each scale, the finest first; the paper's five unless given.
        K: stabilisers of the means and of the variances.
        win: taps, as for :class:`SSIM`.

    Raises:
        ValueError: an option is out of its range, or ``win`` another window.
    """

    def __init__(
        self,
        data_range: float = 255,
        size_average: bool = True,
        win_size: int = 11,
        win_sigma: float = 1.5,
        channel: int = 3,
        spatial_dims: int = 2,
        weights: Sequence[float] | None = None,
        K: Sequence[float] = (0.01, 0.03),
        *,
        win: Tensor | None = None,
    ) -> None:
        super().__init__(data_range, size_average, win_size, win_sigma, spatial_dims, K, win)
        self.options["weights"] = MS_SSIM_WEIGHTS if weights is None else tuple(weights)
        check_multiscale_options(**self.options)

    def forward(self, X: Tensor, Y: Tensor) -> Tensor:
        """MS-SSIM of images; arguments, result and errors are those of :meth:`SSIM.forward`."""
        self._check(X, Y)
        if self.spatial_dims == 2:
            return self._average(ms_ssim(X, Y, reduction="none", **self.options))
        return self._average(ms_ssim_of_volumes(X, Y, **self.options))


def fused_ssim(img1: Tensor, img2: Tensor, padding: str = "same", train: bool = True) -> Tensor:
    """SSIM of images in [0, 1], a drop-in for ``fused_ssim.fused_ssim``: not 1 − SSIM.

    As there only ``img1`` has a gradient, and zeros are around the images.

    Args:
        img1: (B, C, H, W), as for :func:`vqe_fast.ops.ssim`.
        img2: the same shape.
        padding: ``"same"``, or ``"valid"``.
        train: whether a gradient will be asked for.

    Returns:
        A scalar.

    Raises:
        TypeError: as :func:`vqe_fast.ops.ssim`.
        ValueError: as :func:`vqe_fast.ops.ssim`.
    """
    return ssim(img1 if train else img1.detach(), img2.detach(), padding=padding)


def _window_of(win: Tensor) -> dict[str, Any]:
    """Size and shape of a window that is given by its taps, (…, n), the same in each row."""
    rows = win.detach().to("cpu", torch.float64).reshape(-1, win.shape[-1])
    size, taps = rows.shape[1], rows[0].tolist()
    middle = size // 2
    beside, ratio = taps[max(middle - 1, 0)], 0.0
    if 0 < beside < taps[middle]:
        ratio = math.log(taps[middle] / beside)
    uniform = ratio < 1e-6  # of one tap too
    sigma = math.inf if uniform else math.sqrt(0.5 / ratio)
    expected = [math.exp(-((i - middle) ** 2) / (2 * sigma**2)) for i in range(size)]
    whole = rows.new_tensor(expected) / sum(expected)
    if (rows - whole).abs().max() > 1e-6:
        raise ValueError(
            "win must be the taps of a Gaussian, or all equal, of sum 1: the kernels take no "
            f"others; got {taps}"
        )
    return {"window_size": size, **({"window": "uniform"} if uniform else {"sigma": sigma})}
