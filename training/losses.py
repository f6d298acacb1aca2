"""Losses by the names that recipes give them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast import ops
from vqe_fast.models.efficientnet import EfficientNetLite0, published_trunk
from vqe_fast.models.registry import Planes
from vqe_fast.models.vgg import VGG
from vqe_fast.nn import (
    LPIPS,
    TradeOffLoss,
    efficientnet_feature_loss,
    galteri_feature_loss,
    multiscale_feature_loss,
    pequenet_feature_loss,
)
from vqe_fast.nn.lpips import VGG16_TAPS
from vqe_fast.nn.vif import contrast_loss, vif_loss
from vqe_fast.weights.trunks import lpips_heads, trunk_features

if TYPE_CHECKING:
    from vqe_fast.training.recipe import LossTerm


def relative_charbonnier_loss(input: Tensor, target: Tensor, eps: float = 1e-3) -> Tensor:
    """Log-Charbonnier loss: mean over the batch of the logarithm of each patch's.

    Halving a patch's error counts the same however small it was: the plain loss lets strongly
    compressed patches decide, and a network then harms those that need little.
    """
    per_patch = ops.charbonnier_loss(input, target, eps, "none").mean(dim=(1, 2, 3))
    return per_patch.log().mean()


def relative_mse_loss(
    input: Tensor,
    target: Tensor,
    compressed: Tensor,
    floor: float | Sequence[float] | Tensor = 3e-5,
    weights: Sequence[float] | Tensor | None = None,
) -> Tensor:
    """MSE relative to the input's: mean of |x - y|² / (|c - y|² + floor).

    The mean is over patches and channels. Each patch counts alike however strongly it was
    compressed, but for those that have next to no error, such as flat ones.

    Args:
        input: x, (B, C, H, W).
        target: y, the pristine frames or what a teacher makes of them.
        compressed: c, what the network was given.
        floor: mean square, of all channels or of each.
        weights: of the channels; alike if not given. A CUDA graph needs both as tensors there.
    """
    after = (input - target).square().mean((2, 3))
    before = (compressed - target).square().mean((2, 3))
    shares = after / (before + torch.as_tensor(floor, dtype=after.dtype, device=after.device))
    if weights is None:
        return shares.mean()
    weighting = torch.as_tensor(weights, dtype=shares.dtype, device=shares.device)
    return (shares * (weighting / weighting.sum())).sum(1).mean()


def gain_floor_loss(
    input: Tensor,
    target: Tensor,
    compressed: Tensor,
    gain: float = 0.0,
    channels: int | None = None,
) -> Tensor:
    """Floor on PSNR: mean over patches of what the gain lacks, max(0, gain − ΔPSNR), in dB.

    It lets other losses trade error for looks, down to that gain and no further.

    Args:
        input: x, (B, C, H, W) in [0, 1].
        target: the pristine frames.
        compressed: what the network was given; ΔPSNR is the PSNR of x less that of these.
        gain: in dB.
        channels: how many of the first channels count; 1 for luma. All unless given.
    """
    wanted = target[:, :channels]
    after, before = (
        (frames[:, :channels] - wanted).square().mean((1, 2, 3)) + NO_ERROR
        for frames in (input, compressed)
    )
    return (gain + 10 * (after / before).log10()).relu().mean()


NO_ERROR = 1e-6
"""Mean square, 60 dB, at which a patch counts as one without error: it has nothing to lose."""
_RELATIVE: dict[str, Callable[..., Tensor]] = {
    "gain_floor": gain_floor_loss,
    "relative_mse": relative_mse_loss,
}
_PIXELS: dict[str, Callable[..., Tensor]] = {
    "charbonnier": ops.charbonnier_loss,
    "relative_charbonnier": relative_charbonnier_loss,
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "ssim": ops.ssim_loss,
    "ssim_mse": ops.ssim_mse_loss,
    "ms_ssim": ops.ms_ssim_loss,
    "vif": vif_loss,
    "contrast": contrast_loss,
}
_FEATURES: dict[str, tuple[int, Callable[..., nn.Module]]] = {
    "multiscale_features": (16, multiscale_feature_loss),
    "pequenet_features": (19, pequenet_feature_loss),
    "galteri_features": (19, galteri_feature_loss),
}


EFFICIENTNET = "efficientnet_lite0"
"""The trunk that every loss of features can be told to take in place of VGG."""


class TermLoss(nn.Module):
    """A weighted term of a recipe's loss.

    Args:
        term: which.
        planes: what images hold; a classifier is shown ``"yuv"`` as RGB, by BT.709, limited.

    Raises:
        ValueError: an option that the loss does not have.
        WeightsError: its classifier's weights cannot be had.
    """

    def __init__(self, term: LossTerm, planes: Planes = "rgb") -> None:
        super().__init__()
        self.weight = term.weight
        self._is_relative = term.name in _RELATIVE
        try:
            self.loss = _built(term)
        except TypeError as error:
            raise ValueError(f"the loss {term.name}: {error}") from error
        if planes == "yuv" and compares_features(term):
            self.loss = _OfRGB(self.loss)

    def forward(self, input: Tensor, target: Tensor, compressed: Tensor | None = None) -> Tensor:
        """The term of (B, C, H, W) in [0, 1]; ``compressed`` is the network's input."""
        given = (compressed,) if self._is_relative else ()
        loss: Tensor = self.weight * self.loss(input, target, *given)
        return loss


def build_losses(terms: Sequence[LossTerm], planes: Planes = "rgb") -> nn.ModuleDict:
    """Name → weighted term of a stage's loss; a second one of a name gets a number.

    Args:
        terms: of the stage.
        planes: what the images hold that are compared.
    """
    losses = nn.ModuleDict()
    for number, term in enumerate(terms):
        name = term.name if term.name not in losses else f"{term.name}_{number}"
        losses[name] = TermLoss(term, planes)
    return losses


class _Pixels(nn.Module):
    def __init__(
        self, function: Callable[..., Tensor], frames: int, options: dict[str, Any]
    ) -> None:
        super().__init__()
        inspect.signature(function).bind(*[None] * frames, **options)
        self.function = partial(function, **options)

    def forward(self, *frames: Tensor) -> Tensor:
        return self.function(*frames)


def compares_features(term: LossTerm) -> bool:
    """Whether a loss compares a classifier's features."""
    return term.name in _FEATURES or term.name in ("efficientnet_features", "lpips", "trade_off")


def features_in_words(terms: Sequence[LossTerm]) -> str:
    """What the losses of features among ``terms`` looked at, for a card; empty if there are none.

    Such as ``galteri_features on efficientnet_lite0 in place of VGG``.
    """
    found = dict.fromkeys(
        (term.name, _trunk_in_words(term)) for term in terms if compares_features(term)
    )
    return ", ".join(f"{name} on {trunk}" for name, trunk in found)


def _trunk_in_words(term: LossTerm) -> str:
    usual = EFFICIENTNET if term.name == "efficientnet_features" else "VGG"
    if term.trunk == EFFICIENTNET != usual:
        return f"{EFFICIENTNET} in place of VGG"
    if term.trunk == "random":
        return f"a {usual} of random weights"
    return usual


class _OfRGB(nn.Module):
    """A loss of RGB for Y'CbCr in [0, 1], by BT.709 in limited range."""

    matrix: Tensor
    offset: Tensor

    def __init__(self, loss: nn.Module) -> None:
        # Imports av, which timed trainings must do without; they have no losses of features.
        from vqe_fast.video.frames.color import BT709, ColorFacts

        super().__init__()
        self.loss = loss
        matrix, offset = ColorFacts(BT709, full_range=False).to_rgb(bits=8)
        self.register_buffer("matrix", 255 * matrix.float().view(3, 3, 1, 1), persistent=False)
        self.register_buffer("offset", offset.float(), persistent=False)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shown, expected = (F.conv2d(frames, self.matrix, self.offset) for frames in (input, target))
        loss: Tensor = self.loss(shown, expected)
        return loss


def _built(term: LossTerm) -> nn.Module:
    if term.name in _PIXELS:
        return _Pixels(_PIXELS[term.name], 2, term.options)
    if term.name in _RELATIVE:
        return _Pixels(_RELATIVE[term.name], 3, term.options)
    if term.name == "trade_off":
        return TradeOffLoss(_distance(term), **term.options)
    if term.name == "lpips":
        return _distance(term, **term.options)
    if term.name in _FEATURES and term.trunk != EFFICIENTNET:
        depth, build = _FEATURES[term.name]
        return build(_trunk(depth, term.trunk), **term.options)
    return efficientnet_feature_loss(_efficientnet(term.trunk), **term.options)


def _distance(term: LossTerm, **options: Any) -> nn.Module:
    """LPIPS on VGG16, or our features where those are what the term asks for."""
    if term.trunk == EFFICIENTNET:
        return efficientnet_feature_loss(published_trunk(), **options)
    return LPIPS(_trunk(16, term.trunk), _heads(term.trunk), **options)


def _efficientnet(origin: str) -> EfficientNetLite0:
    if origin == "random":
        return EfficientNetLite0().requires_grad_(False)
    return published_trunk(None if origin in ("published", EFFICIENTNET) else origin)


def _trunk(depth: int, origin: str) -> VGG:
    trunk = VGG(depth)
    if origin != "random":
        path = None if origin == "published" else origin
        trunk.load_state_dict(trunk_features(f"vgg{depth}", path))
    return trunk.requires_grad_(False)


def _heads(origin: str) -> list[Tensor]:
    """The published heads; for a random trunk the mean over the channels."""
    if origin != "random":
        return lpips_heads("vgg16")
    with torch.no_grad():
        found = VGG(16)(torch.zeros(1, 3, 16, 16), VGG16_TAPS)
    return [torch.full((features.shape[1],), 1 / features.shape[1]) for features in found]
