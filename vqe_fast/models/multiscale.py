"""The multi-scale perceptual network: encoder-decoders at several sizes of the frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast._whole_number import one_of
from vqe_fast.models.blocks import ResidualBlock, xavier_init
from vqe_fast.models.registry import ModelSpec, register_model

_CHANNELS = (32, 64, 128, 256)
_SMALLEST = 16


class _Encoder(nn.Module):
    """Encoding convolutional block: a convolution and two residual blocks; Fig. 3, middle."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entering, leaving, 3, stride, 1)
        self.blocks = nn.Sequential(ResidualBlock(leaving), ResidualBlock(leaving))

    def forward(self, features: Tensor) -> Tensor:
        encoded: Tensor = self.blocks(F.relu(self.conv(features)))
        return encoded


class _Decoder(nn.Module):
    """Decoding convolutional block: two residual blocks and a deconvolution; Fig. 3, right."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(entering), ResidualBlock(entering))
        self.deconv = nn.ConvTranspose2d(entering, leaving, 4, 2, 1)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.deconv(self.blocks(features)))


class _Scale(nn.Module):
    """One encoder-decoder; Fig. 2."""

    def __init__(self) -> None:
        super().__init__()
        entering = (3, *_CHANNELS[:-1])
        self.encoders = nn.ModuleList(
            _Encoder(a, b, 1 if a == 3 else 2) for a, b in zip(entering, _CHANNELS, strict=True)
        )
        self.decoders = nn.ModuleList(
            (_Decoder(256, 128), _Decoder(2 * 128, 64), _Decoder(2 * 64, 32))
        )
        self.last = nn.Sequential(ResidualBlock(2 * 32), ResidualBlock(2 * 32))
        self.output = nn.Conv2d(2 * 32, 3, 3, padding=1)

    def forward(self, image: Tensor, coarser: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The restored image, and the maps after each block, which the next scale takes."""
        maps: list[Tensor] = []

        def keep(features: Tensor) -> Tensor:
            if coarser:
                below = coarser[len(maps)]
                features = features + F.interpolate(below, scale_factor=2.0, mode="bilinear")
            maps.append(features)
            return features

        features, skips = image, []
        for encoder in self.encoders:
            features = keep(encoder(features))
            skips.append(features)
        skips.pop()
        for decoder in self.decoders:
            features = torch.cat((keep(decoder(features)), skips.pop()), dim=1)
        restored: Tensor = self.output(self.last(features))
        return restored, maps


class MultiScale(nn.Module):
    """The network of section 3: the same encoder-decoder at each of several sizes.

    Four encoding blocks of 32, 64, 128 and 256 channels, of which the last three halve the size,
    and four decoding blocks that undo it, with what the encoder had at the same size beside them.
    The scales are the frame, its half and its quarter; each coarser one's maps, interpolated, are
    added to those of the next. RGB in [0, 1], less 0.5 inside; the output is the frame itself, not
    a correction. First values are Xavier's (section 4.1).

    Where the paper is silent: blocks end with ReLU; the last decoding block, which keeps the size,
    has a convolution instead of the deconvolution of 4×4, which cannot keep it; smaller frames are
    averages of 2×2 pixels. Frames are mirrored at the right and the lower border to a multiple of
    what the smallest map needs.

    Args:
        scales: 1, 2 or 3; the paper finds 2 best.

    Raises:
        ValueError: another number of scales.
    """

    def __init__(self, scales: int = 2) -> None:
        super().__init__()
        scales = one_of("scales", scales, 1, 2, 3)
        self.scales = nn.ModuleList(_Scale() for _ in range(scales))
        xavier_init(self)
        alignment = 8 * 2 ** (scales - 1)
        # How far a pixel sees to each side: in one scale 143, of which the coarser one's is double.
        reach = 143
        for _ in range(scales - 1):
            reach = 2 * reach + 4
        self.spec = ModelSpec(
            planes="rgb",
            temporal_radius=0,
            recurrent=False,
            takes_qp=False,
            receptive_field=2 * reach + 1,
            alignment=alignment,
            value_range=(0.0, 1.0),
            casts_inputs=True,
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Enhances frames.

        Args:
            frames: (B, 3, H, W), RGB in [0, 1], H and W at least 16.

        Returns:
            (B, 3, H, W) in the dtype of ``frames``, not clamped. The convolutions run in the
            dtype of the weights.

        Raises:
            ValueError: ``frames`` has another shape or is too small.
        """
        return self.pyramid(frames)[0]

    def pyramid(self, frames: Tensor) -> list[Tensor]:
        """The restored frame of every scale, the full size first: what a loss may look at.

        Args:
            frames: (B, 3, H, W), RGB in [0, 1].

        Returns:
            (B, 3, H, W), (B, 3, ⌈H/2⌉, ⌈W/2⌉), …, not clamped.

        Raises:
            ValueError: ``frames`` has another shape or is too small.
        """
        if frames.dim() != 4 or frames.shape[1] != 3 or min(frames.shape[2:]) < _SMALLEST:
            raise ValueError(
                f"frames must be (B, 3, H, W) with at least {_SMALLEST}×{_SMALLEST}, "
                f"got {tuple(frames.shape)}"
            )
        height, width = frames.shape[-2:]
        weight = next(self.parameters())
        images = [(self._padded(frames) - 0.5).to(weight.dtype)]
        for _ in self.scales[1:]:
            images.append(F.avg_pool2d(images[-1], 2))
        restored: list[Tensor] = []
        maps: list[Tensor] = []
        for scale, image in zip(reversed(self.scales), reversed(images), strict=True):
            output, maps = scale(image, maps)
            restored.insert(0, output.to(frames.dtype) + 0.5)
        return [
            image[..., : -(-height // 2**level), : -(-width // 2**level)]
            for level, image in enumerate(restored)
        ]

    def _padded(self, frames: Tensor) -> Tensor:
        """Mirrored as often as need be: less than the frame may be left of what is missing."""
        alignment = self.spec.alignment
        while any(size % alignment for size in frames.shape[-2:]):
            below, right = (min(-size % alignment, size - 1) for size in frames.shape[-2:])
            frames = F.pad(frames, (0, right, 0, below), mode="reflect")
        return frames


@register_model
def multiscale(scales: int = 2) -> MultiScale:
    """The multi-scale network; see :class:`MultiScale`."""
    return MultiScale(scales)
