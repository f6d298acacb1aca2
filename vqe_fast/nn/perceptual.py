"""Feature losses, which compare images by the features of a trained classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast.ops._checks import check_pair
from vqe_fast.reference.fusion import gaussian_taps

Trunk = Callable[[Tensor, Sequence[str | int]], list[Tensor]]
"""Such as :class:`vqe_fast.models.vgg.VGG`: features of images at the layers that are named."""

_TINY = 1e-10


def unit_length(features: Tensor) -> Tensor:
    """Features (B, C, H, W) divided by their length at each position; zeros stay zeros."""
    # The norm's gradient is 0 where all features are; that of a square root would be NaN.
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + _TINY)


def unit_distance(input: Tensor, target: Tensor) -> Tensor:
    """Unit-length feature distance: mean over positions of |a/|a| − b/|b||², from 0 to 4.

    It is 2 − 2 cos of the angle between the features of a position, so how large they are counts
    for nothing.

    Args:
        input: features, (B, C, H, W).
        target: the same.
    """
    a, b = unit_length(input), unit_length(target)
    return (a - b).square().sum(1).mean()


_DISTANCES = {"l1": F.l1_loss, "mse": F.mse_loss, "unit": unit_distance}
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FeatureLoss(nn.Module):
    """Feature loss: Σ over scales and layers of weight · distance(features of input, of target).

    Distances are means over all values, those of unit length over positions. Features of the
    target are computed without a graph, in the dtype of the module whatever that of the images,
    distances in float32 at least. With a trunk of random weights this is no perceptual loss, only a
    random one.

    Args:
        trunk: the classifier's features; it is not trained here.
        weights: layer → its weight.
        distance: ``"l1"``, ``"mse"``, or ``"unit"`` for :func:`unit_distance`.
        scales: sizes at which the images are compared, 1 and below: their Gaussian pyramid.
        normalised: whether images in [0, 1] become what the classifier was trained on: by the
            trunk's ``mean`` and ``deviation`` if it has them, else by ImageNet's.

    Raises:
        ValueError: an option is unknown or empty.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        trunk: Trunk,
        weights: Mapping[str | int, float],
        *,
        distance: str = "l1",
        scales: Sequence[float] = (1.0,),
        normalised: bool = True,
    ) -> None:
        super().__init__()
        if distance not in _DISTANCES:
            raise ValueError(f"distance must be one of {', '.join(_DISTANCES)}; got {distance!r}")
        if not weights:
            raise ValueError("weights must name at least one layer")
        if not scales or not all(0 < scale <= 1 and (1 / scale).is_integer() for scale in scales):
            raise ValueError(f"scales must be 1 over whole numbers, such as 0.5; got {scales}")
        self.trunk = trunk
        self.weights = dict(weights)
        self.distance = distance
        self.scales = tuple(scales)
        self.normalised = normalised
        mean = getattr(trunk, "mean", _IMAGENET[0])
        deviation = getattr(trunk, "deviation", _IMAGENET[1])
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of images.

        Args:
            input: (B, 3, H, W) in [0, 1], or luma (B, 1, H, W), which is repeated.
            target: the shape of ``input``.

        Raises:
            ValueError: the shapes differ or have other channels.
        """
        check_images(input, target)
        compare = _DISTANCES[self.distance]
        losses = []
        for scale in self.scales:
            features = self._features(_shrunk(input, scale))
            with torch.no_grad():
                wanted = self._features(_shrunk(target, scale))
            for weight, a, b in zip(self.weights.values(), features, wanted, strict=True):
                losses.append(weight * compare(at_least_float32(a), at_least_float32(b)))
        return torch.stack(losses).sum()

    def _features(self, images: Tensor) -> list[Tensor]:
        images = images.to(self.mean.dtype).expand(-1, 3, -1, -1)
        if self.normalised:
            images = (images - self.mean) / self.deviation
        return self.trunk(images, tuple(self.weights))


def pequenet_feature_loss(
    trunk: Trunk, scales: Sequence[float] = (1.0, 0.5, 0.25, 0.125)
) -> FeatureLoss:
    """PeQuENet's VGG loss, eq. 4: L1 after the first ReLU of each stage of VGG19.

    The paper states one scale, the released code sums four; it also gives the weights, 1/32, 1/16,
    1/8, 1/4 and 1.
    """
    weights: dict[str | int, float] = {
        f"relu{stage}_1": weight
        for stage, weight in enumerate((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), start=1)
    }
    return FeatureLoss(trunk, weights, scales=scales)


def multiscale_feature_loss(
    trunk: Trunk, weights: Mapping[str | int, float] | None = None
) -> FeatureLoss:
    """The multi-scale network's, eq. 4: squared errors of VGG16's features.

    Args:
        trunk: :class:`vqe_fast.models.vgg.VGG` of depth 16.
        weights: layer → its weight; those of section 4.3 unless given: 0.002 for layer 9, 0.0015
            for layer 23, which are the second and the fourth pooling. Table 3 compares each of
            them with both.
    """
    return FeatureLoss(trunk, weights or {9: 0.002, 23: 0.0015}, distance="mse")


def galteri_feature_loss(trunk: Trunk) -> FeatureLoss:
    """Galteri's, eq. 5: squared errors at VGG19's conv5_3."""
    return FeatureLoss(trunk, {"conv5_3": 1.0}, distance="mse")


def efficientnet_feature_loss(
    trunk: Trunk,
    weights: Mapping[str | int, float] | None = None,
    scales: Sequence[float] = (1.0,),
) -> FeatureLoss:
    """Ours, in place of VGG's: unit-length distances at EfficientNet-Lite0's stem and three stages.

    A seventieth of VGG19's arithmetic. Stages 2, 4 and 6 are left for measuring, see
    :func:`efficientnet_distance`.

    Args:
        trunk: :class:`vqe_fast.models.efficientnet.EfficientNetLite0`.
        weights: layer → its weight; ¼ for the stem and stages 1, 3 and 5 unless given.
        scales: sizes at which images are compared, as :class:`FeatureLoss` has them.
    """
    usual: dict[str | int, float] = dict.fromkeys(("stem", "stage1", "stage3", "stage5"), 1 / 4)
    return FeatureLoss(trunk, weights or usual, scales=scales, distance="unit")


def efficientnet_distance(trunk: Trunk) -> FeatureLoss:
    """Feature distance for measuring: unit-length, mean of EfficientNet-Lite0's stages 2, 4 and 6.

    It is not LPIPS: nothing in it was fitted to what people see. No loss of ours has these stages.

    Args:
        trunk: :class:`vqe_fast.models.efficientnet.EfficientNetLite0`.
    """
    return FeatureLoss(trunk, dict.fromkeys(("stage2", "stage4", "stage6"), 1 / 3), distance="unit")


def check_images(input: Tensor, target: Tensor) -> None:
    """Raises unless both are (B, 1, H, W) or both (B, 3, H, W)."""
    check_pair(input, target)
    if input.dim() != 4 or input.shape[1] not in (1, 3):
        raise ValueError(f"input must be (B, 1, H, W) or (B, 3, H, W), got {tuple(input.shape)}")


def at_least_float32(values: Tensor) -> Tensor:
    """16-bit values as float32, others as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _shrunk(images: Tensor, scale: float) -> Tensor:
    """Blurred by σ = (1/scale − 1)/2 with zeros around, then every so many pixels."""
    step = round(1 / scale)
    if step == 1:
        return images
    sigma = (step - 1) / 2
    half = round(4 * sigma)
    taps = torch.tensor(
        gaussian_taps(2 * half + 1, sigma), dtype=images.dtype, device=images.device
    )
    channels = images.shape[1]
    rows = taps.view(1, 1, -1, 1).expand(channels, -1, -1, -1)
    blurred = F.conv2d(images, rows, padding=(half, 0), stride=(step, 1), groups=channels)
    return F.conv2d(blurred, rows.mT, padding=(0, half), stride=(1, step), groups=channels)
