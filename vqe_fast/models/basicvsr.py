"""BasicVSR (Chan et al.): a recurrent network that looks through a clip in both directions."""

from __future__ import annotations

import math
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from vqe_fast._whole_number import one_of, whole_number
from vqe_fast.models.blocks import he_init
from vqe_fast.models.registry import ModelSpec, register_model
from vqe_fast.models.spynet import FLOW_REACH, SPyNet
from vqe_fast.models.warp import flow_warp

Keeping = Literal["device", "device_bf16", "cpu", "cpu_bf16"]

_SLOPE = 0.1
_TAIL_REACH = 2
_ENLARGED_WIDTH = 64


def _leaky(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, _SLOPE, inplace=True)


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        # Thirty blocks in a row, as many times as there are frames: each starts as a small change.
        for conv in (self.first, self.second):
            nn.init.kaiming_normal_(conv.weight)
            with torch.no_grad():
                conv.weight.mul_(0.1)
            nn.init.zeros_(cast(Tensor, conv.bias))

    def forward(self, features: Tensor) -> Tensor:
        hidden = functional.relu(self.first(features), inplace=True)
        return cast(Tensor, self.second(hidden)).add_(features)


class _Trunk(nn.Module):
    """One step of propagation: a frame and the features that arrived → its features."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3 + width, width, 3, padding=1)
        self.blocks = nn.ModuleList(_ResidualBlock(width) for _ in range(blocks))
        he_init(self.head, _SLOPE)
        # At first only differences within the frame pass, as strong as the features that arrive:
        # its brightness, the largest part of it by far, would hide them for a thousand steps.
        with torch.no_grad():
            seen = self.head.weight[:, :3]
            seen -= seen.mean((1, 2, 3), keepdim=True)
            seen *= math.sqrt(1 + width / 3)

    def forward(self, frame: Tensor, arrived: Tensor | None) -> Tensor:
        if arrived is None:
            batch, _, height, width = frame.shape
            channels = self.head.out_channels
            arrived = self.head.weight.new_zeros(batch, channels, height, width)
        features = torch.cat((frame.to(arrived.dtype), arrived), dim=1)
        # Twice as fast as planes on a CPU, and what tensor cores want.
        features = _leaky(self.head(features.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            features = block(features)
        return features


class BasicVSR(nn.Module):
    """The network of section 3, from features that run backward and forward through the clip.

    SPyNet finds the motion between neighbouring frames, both ways at once from one pyramid a frame.
    Features of the next frame are warped to the current one and refined by a 3×3 convolution and
    residual blocks, and so on to the first frame; then the same from the first frame to the last.
    Both are fused by a 1×1 convolution. For ×4, two pixel shuffles follow, two convolutions and the
    sum with the bilinearly enlarged frame: 6,291,311 parameters. At the same resolution, as ASTF
    uses the network (its section 3.1), only the pixel shuffles with their convolutions are left
    out: 5,995,887 parameters. LeakyReLU(0.1) outside, ReLU inside the residual blocks.

    It starts as the identity (as bilinear enlargement): the last convolution, and those of SPyNet,
    start at zero. :func:`vqe_fast.models.load_published` loads weights published elsewhere.

    The spec's receptive field and alignment are of one step: how far around an output pixel its
    own frame and the motion from its neighbours are looked at. It is an upper bound, nearly all of
    it SPyNet's coarsest level. Each frame more adds ``2 * blocks + 1`` pixels on each side, and the
    motion its length. Tiles, clips cut into pieces too, therefore only come close to the whole; and
    only where the height and width of tiles and frames are multiples of 32.

    Args:
        scale: 4, or 1 for the same resolution.
        width: feature maps of every hidden layer outside SPyNet; for ×4 those at the full size are
            64 always, as in BasicSR and MMagic.
        blocks: residual blocks of each direction.
        flow_pairs: so many pairs of neighbouring frames go through SPyNet at a time; None for all.
            A matter of memory (about 0.8 KB a pixel and pair); flows differ by rounding at most.
        backward_features: where the features of the backward pass (4 · width bytes a pixel and
            frame, by far the most memory) wait for the forward pass: on the ``"device"`` or in the
            memory of the ``"cpu"``, both exact; ``"device_bf16"`` and ``"cpu_bf16"`` round what is
            kept to bfloat16, which halves it. Backward and forward pass are themselves the same in
            all cases. In training the graph keeps all features anyway.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        scale: int = 4,
        width: int = 64,
        blocks: int = 30,
        flow_pairs: int | None = 4,
        backward_features: Keeping = "device",
    ) -> None:
        super().__init__()
        scale = one_of("scale", scale, 1, 4)
        width = whole_number("width", width, 1)
        blocks = whole_number("blocks", blocks, 1)
        if flow_pairs is not None:
            flow_pairs = whole_number("flow_pairs", flow_pairs, 1)
        if backward_features not in get_args(Keeping):
            raise ValueError(
                f"backward_features must be one of {', '.join(get_args(Keeping))}; "
                f"got {backward_features!r}"
            )
        self.scale = scale
        self.width = width
        self.blocks = blocks
        self.flow_pairs = flow_pairs
        self.backward_features = backward_features
        self.spynet = SPyNet()
        self.backward_trunk = _Trunk(width, blocks)
        self.forward_trunk = _Trunk(width, blocks)
        self.fusion = nn.Conv2d(2 * width, width, 1)
        last = width if scale == 1 else _ENLARGED_WIDTH
        enlarged = () if scale == 1 else (width, last)
        self.upsample = nn.ModuleList(nn.Conv2d(width, 4 * to, 3, padding=1) for to in enlarged)
        self.conv_hr = nn.Conv2d(last, last, 3, padding=1)
        self.conv_last = nn.Conv2d(last, 3, 3, padding=1)
        for module in (self.fusion, self.upsample, self.conv_hr):
            he_init(module, _SLOPE)
        nn.init.zeros_(self.conv_last.weight)
        nn.init.zeros_(cast(Tensor, self.conv_last.bias))
        self.spec = ModelSpec(
            planes="rgb",
            temporal_radius=0,
            recurrent=True,
            takes_qp=False,
            receptive_field=2 * (2 * blocks + 1 + _TAIL_REACH + FLOW_REACH) + 1,
            alignment=32,
            value_range=(0.0, 1.0),
            casts_inputs=True,
            scale=scale,
        )

    def forward(self, clip: Tensor) -> Tensor:
        """Enhances, or enlarges, a clip.

        Args:
            clip: (B, T, 3, H, W), RGB in [0, 1], any T, H and W from 1 on.

        Returns:
            (B, T, 3, scale · H, scale · W) in the dtype of ``clip``; not clamped. The convolutions
            run in the dtype of the weights, the final sum in that of ``clip``.

        Raises:
            ValueError: ``clip`` is not (B, T, 3, H, W) or has no frame.
        """
        if clip.dim() != 5 or clip.shape[2] != 3 or clip.numel() == 0:
            raise ValueError(f"clip must be (B, T, 3, H, W) and not empty, got {tuple(clip.shape)}")
        to_next, to_previous = self._flows(clip)
        frames = clip.unbind(1)
        kept: list[Tensor] = []
        features: Tensor | None = None
        for number in range(len(frames) - 1, -1, -1):
            if features is not None:
                features = flow_warp(features, to_next.pop())
            features = self.backward_trunk(frames[number], features)
            kept.append(self._keep(features))
        features = None
        enhanced = []
        for number, frame in enumerate(frames):
            if features is not None:
                features = flow_warp(features, to_previous[number - 1])
            features = self.forward_trunk(frame, features)
            enhanced.append(self._reconstruct(frame, kept.pop(), features))
        return torch.stack(enhanced, dim=1)

    def _flows(self, clip: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """For each pair of neighbours the flows (B, 2, H, W) of the first frame and the second."""
        pairs = clip.shape[1] - 1
        step = self.flow_pairs or max(pairs, 1)
        size = (clip.shape[-2], clip.shape[-1])
        to_next: list[Tensor] = []
        to_previous: list[Tensor] = []
        last = self._pyramid(clip[:, :1]) if pairs else []
        for start in range(1, pairs + 1, step):
            following = self._pyramid(clip[:, start : start + step])
            images = [torch.cat(each, dim=1) for each in zip(last, following, strict=True)]
            last = [each[:, -1:] for each in following]
            first = [each[:, :-1] for each in images]
            second = [each[:, 1:] for each in images]
            flows = self.spynet.flow(
                [torch.cat(each).flatten(0, 1) for each in zip(first, second, strict=True)],
                [torch.cat(each).flatten(0, 1) for each in zip(second, first, strict=True)],
                size,
            )
            both_ways = flows.unflatten(0, (2, clip.shape[0], -1))
            to_next.extend(both_ways[0].unbind(1))
            to_previous.extend(both_ways[1].unbind(1))
        return to_next, to_previous

    def _pyramid(self, clip: Tensor) -> list[Tensor]:
        levels = self.spynet.pyramid(clip.flatten(0, 1))
        return [level.unflatten(0, clip.shape[:2]) for level in levels]

    def _keep(self, features: Tensor) -> Tensor:
        if self.backward_features.endswith("_bf16"):
            features = features.to(torch.bfloat16)
        return features.cpu() if self.backward_features.startswith("cpu") else features

    def _reconstruct(self, frame: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        backward = backward.to(forward.device, forward.dtype)
        features = _leaky(self.fusion(torch.cat((backward, forward), dim=1)))
        for conv in self.upsample:
            features = functional.pixel_shuffle(_leaky(conv(features)), 2)
        residual = self.conv_last(_leaky(self.conv_hr(features))).to(frame.dtype)
        if self.scale > 1:
            frame = functional.interpolate(
                frame, scale_factor=self.scale, mode="bilinear", align_corners=False
            )
        enhanced: Tensor = frame + residual
        return enhanced


@register_model
def basicvsr(
    scale: int = 4,
    width: int = 64,
    blocks: int = 30,
    flow_pairs: int | None = 4,
    backward_features: Keeping = "device",
) -> BasicVSR:
    """BasicVSR as in the paper; see :class:`BasicVSR` for the options."""
    return BasicVSR(scale, width, blocks, flow_pairs, backward_features)
