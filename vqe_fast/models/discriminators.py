"""Discriminators of the adversarial losses."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """PeQuENet's PatchGAN, section III-B: 694,113 parameters.

    Convolutions 4×4, 1→32→64→128→256→1, strides 2, 2, 2, 2, 1, padding 1 but for the last one,
    BatchNorm on the middle three, LeakyReLU(0.2). Weights start from N(0, 0.02).
    """

    def __init__(self) -> None:
        super().__init__()
        channels = (1, 32, 64, 128, 256)
        self.layers = nn.ModuleList()
        for index, (entering, leaving) in enumerate(pairwise(channels)):
            conv = nn.Conv2d(entering, leaving, 4, stride=2, padding=1)
            norm = [nn.BatchNorm2d(leaving)] if index else []
            self.layers.append(nn.Sequential(conv, *norm, nn.LeakyReLU(_SLOPE)))
        self.output = nn.Conv2d(channels[-1], 1, 4)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, luma: Tensor) -> tuple[Tensor, list[Tensor]]:
        """How real each patch looks, and the features on the way.

        Args:
            luma: (B, 1, H, W), H and W at least 64.

        Returns:
            (B, 1, H/16 − 3, W/16 − 3), unbounded, 1 for real; and the features after each of the
            first four layers, for feature matching.

        Raises:
            ValueError: ``luma`` has another shape or is too small.
        """
        if luma.dim() != 4 or luma.shape[1] != 1 or min(luma.shape[2:]) < 64:
            raise ValueError(
                f"luma must be (B, 1, H, W) with at least 64×64, got {tuple(luma.shape)}"
            )
        features = []
        for layer in self.layers:
            luma = layer(luma)
            features.append(luma)
        return self.output(luma), features


class SubPatchDiscriminator(nn.Module):
    """Galteri's discriminator, section 3.1.1: is each 16×16 sub-patch an original?

    Convolutions with stride 1 and without padding, filters doubled every two layers, LeakyReLU. The
    paper gives neither the number of layers nor that of filters; seven 3×3 kernels, from 32 filters
    on, and a last one of 2×2 see 16×16 pixels exactly: our reading.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = (6, 32, 32, 64, 64, 128, 128, 256)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3) for a, b in pairwise(channels))
        self.output = nn.Conv2d(channels[-1], 1, 2)

    def forward(self, frames: Tensor, compressed: Tensor) -> Tensor:
        """How real frames look, given what was made of them.

        Args:
            frames: (B, 3, H, W), RGB, originals or restored, H and W at least 16.
            compressed: (B, 3, H, W), which they are conditioned on.

        Returns:
            (B), the probability that the frame is an original, averaged over sub-patches: the
            sigmoid of each, then the mean.

        Raises:
            ValueError: the shapes differ, or the frames are too small.
        """
        if frames.shape != compressed.shape:
            raise ValueError(
                f"compressed must have the shape of frames, {tuple(frames.shape)}; "
                f"got {tuple(compressed.shape)}"
            )
        if frames.dim() != 4 or frames.shape[1] != 3 or min(frames.shape[2:]) < 16:
            raise ValueError(
                f"frames must be (B, 3, H, W) with at least 16×16, got {tuple(frames.shape)}"
            )
        features = torch.cat((frames, compressed), dim=1)
        for layer in self.layers:
            features = functional.leaky_relu(layer(features), _SLOPE)
        return torch.sigmoid(self.output(features)).mean((1, 2, 3))
