"""LPIPS (Zhang et al.), the distance between features that people's judgments weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vqe_fast.nn.perceptual import Trunk, at_least_float32, check_images, unit_length
from vqe_fast.ops import charbonnier_loss
from vqe_fast.ops._autocast import without_autocast
from vqe_fast.ops._checks import check_reduction

VGG16_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
ALEXNET_TAPS = ("relu1", "relu2", "relu3", "relu4", "relu5")


class LPIPS(nn.Module):
    """LPIPS distance: Σ over layers of the mean over positions of Σ_c w_c · (â_c − b̂_c)².

    â and b̂ are the features of the two images, divided by their length at each position. Features
    of the target are computed without a graph, in the dtype of the module (``.half()``,
    ``.double()``) whatever that of the images; distances in float32, in float64 if the module is,
    also under autocast. With a trunk or heads that are not the published ones the figures mean
    nothing beyond this loss.

    Args:
        trunk: the classifier's features, :class:`vqe_fast.models.vgg.VGG` of depth 16 or
            :class:`vqe_fast.models.alexnet.AlexNet`; it is not trained here.
        heads: w of each layer, (C,), as :func:`vqe_fast.weights.trunks.lpips_heads` gives them.
        taps: the trunk's layers, as many as heads: ``VGG16_TAPS`` or ``ALEXNET_TAPS``.
        reduction: ``"mean"`` over the images, or ``"none"``.

    Raises:
        ValueError: there are more or fewer heads than taps, or the reduction is unknown.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        trunk: Trunk,
        heads: Sequence[Tensor],
        taps: Sequence[str] = VGG16_TAPS,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if len(heads) != len(taps):
            raise ValueError(f"heads must be one for each of {len(taps)} taps, got {len(heads)}")
        check_reduction(reduction, ("mean", "none"))
        self.trunk = trunk
        self.taps = tuple(taps)
        self.reduction = reduction
        for number, head in enumerate(heads):
            self.register_buffer(f"head{number}", head.detach().clone(), persistent=False)
        shift, scale = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
        self.register_buffer("shift", torch.tensor(shift).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(3, 1, 1), persistent=False)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The distance of images.

        Args:
            input: (B, 3, H, W) in [0, 1], or luma (B, 1, H, W), which is repeated; at least
                16×16 for VGG16, 31×31 for AlexNet.
            target: the shape of ``input``.

        Returns:
            A number, or (B,) with ``reduction="none"``; float32, or float64 if the module is.

        Raises:
            ValueError: the shapes differ or have other channels.
        """
        check_images(input, target)
        features = self._features(input)
        with torch.no_grad():
            wanted = self._features(target)
        distances = []
        with without_autocast(input.device.type):
            for number, (a, b) in enumerate(zip(features, wanted, strict=True)):
                head = self.get_buffer(f"head{number}").to(a.dtype)
                weighted = torch.einsum("bchw,c->bhw", (a - b).square(), head)
                distances.append(weighted.mean((1, 2)))
        distance = torch.stack(distances).sum(0)
        return distance.mean() if self.reduction == "mean" else distance

    def _features(self, images: Tensor) -> list[Tensor]:
        images = images.to(self.shift.dtype).expand(-1, 3, -1, -1)
        scaled = (2 * images - 1 - self.shift) / self.scale
        found = self.trunk(scaled, self.taps)
        return [unit_length(at_least_float32(features)) for features in found]


class TradeOffLoss(nn.Module):
    """Trade-off loss α · Charbonnier + β · LPIPS, eq. 2 of ASTF, of its second refining network.

    The paper chose α = 0.15 and β = 10000 so that the first term is almost three times the second.
    It does not say how the Charbonnier loss is reduced; with the mean it would be a hundred
    thousand times too small, so here it is the sum over the batch, our reading.

    Args:
        lpips: :class:`LPIPS` on VGG16, or another distance of images; the paper trains with VGG
            and validates with AlexNet.
        alpha: of the Charbonnier loss.
        beta: of LPIPS.
        eps: of the Charbonnier loss, eq. 1.
    """

    def __init__(
        self, lpips: nn.Module, alpha: float = 0.15, beta: float = 10000.0, eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.lpips = lpips
        self.alpha = alpha
        self.beta = beta
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of images, shapes and errors as for :class:`LPIPS`."""
        error = charbonnier_loss(input, target, self.eps, "sum")
        distance: Tensor = self.lpips(input, target).mean()
        return self.alpha * error + self.beta * distance
