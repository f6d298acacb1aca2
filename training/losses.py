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
from vqe_fast.models.vgg import VGG
from vqe_fast.nn import (
    LPIPS,
    TradeOffLoss,
    galteri_feature_loss,
    multiscale_feature_loss,
    pequenet_feature_loss,
)
from vqe_fast.nn.lpips import VGG16_TAPS
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


_RELATIVE = {"relative_mse": relative_mse_loss}
_PIXELS: dict[str, Callable[..., Tensor]] = {
    "charbonnier": ops.charbonnier_loss,
    "relative_charbonnier": relative_charbonnier_loss,
    "l1": F.l1_loss,
    "mse": F.mse_loss,
    "ssim": ops.ssim_loss,
    "ssim_mse": ops.ssim_mse_loss,
    "ms_ssim": ops.ms_ssim_loss,
}
_FEATURES: dict[str, tuple[int, Callable[..., nn.Module]]] = {
    "multiscale_features": (16, multiscale_feature_loss),
    "pequenet_features": (19, pequenet_feature_loss),
    "galteri_features": (19, galteri_feature_loss),
}


class TermLoss(nn.Module):
    """A weighted term of a recipe's loss.

    Raises:
        ValueError: an option that the loss does not have.
        WeightsError: its classifier's weights cannot be had.
    """

    def __init__(self, term: LossTerm) -> None:
        super().__init__()
        self.weight = term.weight
        self._is_relative = term.name in _RELATIVE
        try:
            self.loss = _built(term)
        except TypeError as error:
            raise ValueError(f"the loss {term.name}: {error}") from error

    def forward(self, input: Tensor, target: Tensor, compressed: Tensor | None = None) -> Tensor:
        """The term of (B, C, H, W) in [0, 1]; ``compressed`` is the network's input."""
        given = (compressed,) if self._is_relative else ()
        loss: Tensor = self.weight * self.loss(input, target, *given)
        return loss


def build_losses(terms: Sequence[LossTerm]) -> nn.ModuleDict:
    """Name → weighted term of a stage's loss; a second one of a name gets a number."""
    losses = nn.ModuleDict()
    for number, term in enumerate(terms):
        name = term.name if term.name not in losses else f"{term.name}_{number}"
        losses[name] = TermLoss(term)
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


def _built(term: LossTerm) -> nn.Module:
    if term.name in _PIXELS:
        return _Pixels(_PIXELS[term.name], 2, term.options)
    if term.name in _RELATIVE:
        return _Pixels(_RELATIVE[term.name], 3, term.options)
    if term.name in _FEATURES:
        depth, build = _FEATURES[term.name]
        return build(_trunk(depth, term.trunk), **term.options)
    lpips = LPIPS(_trunk(16, term.trunk), _heads(term.trunk))
    return lpips if term.name == "lpips" else TradeOffLoss(lpips, **term.options)


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
