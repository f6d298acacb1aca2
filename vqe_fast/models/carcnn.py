"""CAR-CNN (Aqqa and Shah): a deep residual network that removes compression artefacts from luma."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vqe_fast.models.registry import ModelSpec, register_model

_SLOPE = 0.2


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.first(features), _SLOPE)
        return features + functional.leaky_relu(self.second(hidden), _SLOPE)


class CARCNN(nn.Module):
    """The network of section 3.1: 34 convolution layers, each followed by LeakyReLU(0.2).

    conv 1→64, 15 residual blocks of two 3×3 convolutions, two more 3×3 convolutions, conv 64→1
    and tanh: 1,182,913 parameters. The paper does not say how the tanh output relates to the
    input; here, as in the residual learning (VDSR) that it builds on, the input is scaled to
    [-1, 1] and the output is a correction to it: ``y + tanh(net(2y - 1)) / 2``.

    Args:
        width: feature maps of every hidden layer.
        blocks: residual blocks.
        unshuffle: the plane is rearranged into ``unshuffle²`` planes of that much lower
            resolution first (pixel unshuffle) and back at the end. 1 is the paper's network;
            2 is ours: a quarter of the arithmetic and twice the receptive field.
    """

    def __init__(self, width: int = 64, blocks: int = 15, unshuffle: int = 1) -> None:
        super().__init__()
        for name, value in (("width", width), ("blocks", blocks), ("unshuffle", unshuffle)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        planes = unshuffle**2
        self.head = nn.Conv2d(planes, width, 3, padding=1)
        self.blocks = nn.ModuleList(_ResidualBlock(width) for _ in range(blocks))
        self.tail = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.output = nn.Conv2d(width, planes, 3, padding=1)
        self.unshuffle = unshuffle
        layers = 2 * blocks + 4
        self.spec = ModelSpec(
            planes="y",
            temporal_radius=0,
            recurrent=False,
            takes_qp=False,
            receptive_field=(2 * layers + 1) * unshuffle,
            alignment=unshuffle,
            value_range=(0.0, 1.0),
        )
        # Training starts from the identity.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(cast(Tensor, self.output.bias))

    def forward(self, luma: Tensor) -> Tensor:
        """Enhances luma.

        Args:
            luma: (B, 1, H, W), values in [0, 1], any H and W.

        Returns:
            (B, 1, H, W) in the dtype of ``luma``; not clamped. The convolutions run in the dtype
            of the weights, the final sum in that of ``luma``.

        Raises:
            ValueError: ``luma`` is not (B, 1, H, W).
        """
        if luma.dim() != 4 or luma.shape[1] != 1:
            raise ValueError(f"luma must be (B, 1, H, W), got {tuple(luma.shape)}")
        height, width = luma.shape[-2:]
        scaled = (2 * luma - 1).to(self.head.weight.dtype)
        if self.unshuffle > 1:
            below, right = -height % self.unshuffle, -width % self.unshuffle
            scaled = functional.pad(scaled, (0, right, 0, below), mode="replicate")
            scaled = functional.pixel_unshuffle(scaled, self.unshuffle)
        features = functional.leaky_relu(self.head(scaled), _SLOPE)
        for block in self.blocks:
            features = block(features)
        for conv in self.tail:
            features = functional.leaky_relu(conv(features), _SLOPE)
        correction = torch.tanh(self.output(features).to(luma.dtype))
        if self.unshuffle > 1:
            correction = functional.pixel_shuffle(correction, self.unshuffle)
            correction = correction[..., :height, :width]
        return luma + correction / 2


@register_model
def carcnn(width: int = 64, blocks: int = 15, unshuffle: int = 1) -> CARCNN:
    """CAR-CNN as in the paper; see :class:`CARCNN` for the options."""
    return CARCNN(width, blocks, unshuffle)


@register_model
def carcnn_small(width: int = 64, blocks: int = 8, unshuffle: int = 2) -> CARCNN:
    """Ours: CAR-CNN's network at half resolution with 8 blocks, a seventh of the arithmetic."""
    return CARCNN(width, blocks, unshuffle)
