"""Galteri et al.: generators that remove compression artefacts, and the predictor of quality."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast._whole_number import whole_number
from vqe_fast.models.blocks import ResidualBlock, he_init
from vqe_fast.models.registry import ModelSpec, register_model

_SLOPE = 0.2
_EXPANSION = 6
_LARGEST_QP = 63

PREDICTOR = "quality_predictor"
"""What recipes and weights call :class:`QualityPredictor`, which restores nothing and is therefore
not registered."""


class _InvertedResidual(nn.Module):
    """MobileNetV2's block: wider, filtered by channel, and narrow again without activation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = _EXPANSION * width
        self.expand = nn.Conv2d(width, wide, 1)
        self.filter = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.project = nn.Conv2d(wide, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        wide = F.leaky_relu(self.expand(features), _SLOPE)
        changed: Tensor = features + self.project(F.leaky_relu(self.filter(wide), _SLOPE))
        return changed


class GalteriGenerator(nn.Module):
    """The generator of section 3.1.

    conv 3→width, conv with stride 2, residual blocks, nearest ×2, conv, conv to RGB with tanh;
    3×3 kernels and LeakyReLU. Frames go in and come out in [0, 1] and are scaled to [-1, 1] inside.

    The paper describes the base network: 64 filters, 15 blocks; it draws the frame anew. Of
    ``fast`` and ``very_fast`` the paper gives the names; here, our reading, they have the inverted
    residual blocks of MobileNetV2 without normalisation, 12 of 32 filters and 16 of 8, and what
    they draw is added to the frame: 8 filters at half the size cannot carry the 12 samples that
    they stand for. These two start as the identity.

    Args:
        width: filters.
        blocks: residual blocks.
        inverted: whether these are inverted residuals, and the output a correction.

    Raises:
        ValueError: a number is below 1.
    """

    def __init__(self, width: int = 64, blocks: int = 15, inverted: bool = False) -> None:
        super().__init__()
        width = whole_number("width", width, 1)
        blocks = whole_number("blocks", blocks, 1)
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(
            *(
                _InvertedResidual(width) if inverted else ResidualBlock(width, _SLOPE)
                for _ in range(blocks)
            )
        )
        self.up = nn.Conv2d(width, width, 3, padding=1)
        self.output = nn.Conv2d(width, 3, 3, padding=1)
        self._corrects = inverted
        he_init(self, _SLOPE, branch_end="project" if inverted else "second")
        if inverted:
            nn.init.zeros_(self.output.weight)
        at_half = blocks * (1 if inverted else 2)
        # To each side: three convolutions, one more that starts at an even pixel, and those at half
        # the size, whose results two pixels share.
        reach = 3 + 1 + 2 * at_half + 1
        self.spec = ModelSpec(
            planes="rgb",
            temporal_radius=0,
            recurrent=False,
            takes_qp=False,
            receptive_field=2 * reach + 1,
            alignment=2,
            value_range=(0.0, 1.0),
            casts_inputs=True,
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Enhances frames.

        Args:
            frames: (B, 3, H, W), RGB in [0, 1], any H and W.

        Returns:
            (B, 3, H, W) in the dtype of ``frames``: in [0, 1], or, of a network with inverted
            residuals, the corrected frames, not clamped.

        Raises:
            ValueError: ``frames`` is not (B, 3, H, W).
        """
        if frames.dim() != 4 or frames.shape[1] != 3:
            raise ValueError(f"frames must be (B, 3, H, W), got {tuple(frames.shape)}")
        height, width = frames.shape[-2:]
        scaled = (2 * frames - 1).to(self.head.weight.dtype)
        scaled = F.pad(scaled, (0, width % 2, 0, height % 2), mode="replicate")
        features = F.leaky_relu(self.head(scaled), _SLOPE)
        features = F.leaky_relu(self.down(features), _SLOPE)
        features = F.interpolate(self.blocks(features), scale_factor=2.0, mode="nearest")
        features = F.leaky_relu(self.up(features), _SLOPE)
        drawn = torch.tanh(self.output(features).to(frames.dtype))[..., :height, :width]
        return frames + drawn / 2 if self._corrects else (drawn + 1) / 2


@register_model
def galteri_base(width: int = 64, blocks: int = 15) -> GalteriGenerator:
    """The paper's generator; see :class:`GalteriGenerator`."""
    return GalteriGenerator(width, blocks)


@register_model
def galteri_fast(width: int = 32, blocks: int = 12) -> GalteriGenerator:
    """Our reading of the fast generator; see :class:`GalteriGenerator`."""
    return GalteriGenerator(width, blocks, inverted=True)


@register_model
def galteri_very_fast(width: int = 8, blocks: int = 16) -> GalteriGenerator:
    """Our reading of the very fast generator; see :class:`GalteriGenerator`."""
    return GalteriGenerator(width, blocks, inverted=True)


class QualityPredictor(nn.Module):
    """Estimates how strongly a frame was compressed from what it looks like.

    The paper drives generators, each trained for one quality, by such a predictor; it is described
    in the authors' earlier work, and this small one is ours: five 3×3 convolutions with stride 2 on
    luma, an average over the frame, and a sigmoid times 63.

    Args:
        width: filters of the first convolution; each of the next has twice as many, up to eight
            times.

    Raises:
        ValueError: ``width`` is below 1.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        width = whole_number("width", width, 1)
        layers: list[nn.Module] = []
        entering = 1
        for factor in (1, 2, 4, 8, 8):
            layers += [nn.Conv2d(entering, factor * width, 3, 2, 1), nn.LeakyReLU(_SLOPE)]
            entering = factor * width
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(entering, 1)
        he_init(self, _SLOPE)
        self.spec = ModelSpec(
            planes="y",
            temporal_radius=0,
            recurrent=False,
            takes_qp=False,
            receptive_field=0,
            alignment=1,
            value_range=(0.0, 1.0),
        )

    def forward(self, luma: Tensor) -> Tensor:
        """Estimates the QP of frames.

        Args:
            luma: (B, 1, H, W), values in [0, 1].

        Returns:
            (B), QPs in 0 to 63, or whatever measure of quality on that scale it was trained with.

        Raises:
            ValueError: ``luma`` is not (B, 1, H, W).
        """
        if luma.dim() != 4 or luma.shape[1] != 1:
            raise ValueError(f"luma must be (B, 1, H, W), got {tuple(luma.shape)}")
        # Compression shows in how pixels differ, whatever the brightness.
        features = self.layers(luma - luma.mean((2, 3), keepdim=True))
        estimate: Tensor = _LARGEST_QP * torch.sigmoid(self.output(features.mean((2, 3))))
        return estimate.squeeze(1)
