"""CAR-CNN (Aqqa and Shah): a deep residual network that removes compression artefacts from luma."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vqe_fast._whole_number import whole_number
from vqe_fast.models.blocks import activate, add_to, he_init
from vqe_fast.models.registry import ModelSpec, register_model
from vqe_fast.nn import QPModulatedConv2d, QPModulation

_SLOPE = 0.2
QPS = (12, 17, 22, 27, 32, 37, 42, 47, 52)
"""The QPs that have an entry in the tables of ``qp_adaptive`` networks."""


class _ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor, qp: float | Tensor | None) -> Tensor:
        hidden = activate(self.first(features), _SLOPE)
        return add_to(activate(self.second(hidden), _SLOPE), features)


class _QPResidualBlock(nn.Module):
    """The same, with the activations between its convolutions multiplied by gains of the QP."""

    def __init__(self, width: int, qps: Sequence[float]) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = QPModulation(len(qps), width, qps=qps)
        self.second = QPModulatedConv2d(width, width, 3, padding=1)
        # All gains are 1 at first, so that the plain network's weights are a place to start from.
        nn.init.zeros_(self.modulation.weight)
        nn.init.constant_(self.modulation.bias, math.log(math.e - 1))

    def forward(self, features: Tensor, qp: float | Tensor | None) -> Tensor:
        assert qp is not None
        changed = self.second(
            self.first(features),
            self.modulation.gains(qp),
            activation="leaky_relu",
            negative_slope=_SLOPE,
            inplace=not torch.is_grad_enabled(),
        )
        return add_to(activate(changed, _SLOPE), features)


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
        qp_adaptive: one network for all QPs, ours: in each residual block, PeQuENet's modulation
            (softplus of a table's entry for the QP, a gain for each channel) multiplies the
            activations between the convolutions.
        qps: the QPs that have an entry in those tables.

    Raises:
        ValueError: a number is below 1, or ``qps`` is not ascending in 0 to 63.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 15,
        unshuffle: int = 1,
        qp_adaptive: bool = False,
        qps: Sequence[float] = QPS,
    ) -> None:
        super().__init__()
        width = whole_number("width", width, 1)
        blocks = whole_number("blocks", blocks, 1)
        unshuffle = whole_number("unshuffle", unshuffle, 1)
        planes = unshuffle**2
        self.head = nn.Conv2d(planes, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            _QPResidualBlock(width, qps) if qp_adaptive else _ResidualBlock(width)
            for _ in range(blocks)
        )
        self.tail = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.output = nn.Conv2d(width, planes, 3, padding=1)
        self.unshuffle = unshuffle
        layers = 2 * blocks + 4
        self.spec = ModelSpec(
            planes="y",
            temporal_radius=0,
            recurrent=False,
            takes_qp=qp_adaptive,
            receptive_field=(2 * layers + 1) * unshuffle,
            alignment=unshuffle,
            value_range=(0.0, 1.0),
            casts_inputs=True,
        )
        he_init(self, _SLOPE, branch_end="second")
        # Training starts from the identity.
        nn.init.zeros_(self.output.weight)

    def forward(self, luma: Tensor, qp: float | Tensor | None = None) -> Tensor:
        """Enhances luma.

        Args:
            luma: (B, 1, H, W), values in [0, 1], any H and W.
            qp: for a network that adapts to it, and for no other: a number, (B), or a map
                (B, h, w) no finer than the frame (half of it with ``unshuffle=2``).

        Returns:
            (B, 1, H, W) in the dtype of ``luma``; not clamped. The convolutions run in the dtype
            of the weights, the final sum in that of ``luma``.

        Raises:
            ValueError: ``luma`` is not (B, 1, H, W), or ``qp`` is missing or not wanted.
        """
        if (qp is not None) != self.spec.takes_qp:
            wanted = "must be given" if qp is None else "must not be given"
            raise ValueError(f"qp {wanted}: qp_adaptive is {self.spec.takes_qp}")
        if luma.dim() != 4 or luma.shape[1] != 1:
            raise ValueError(f"luma must be (B, 1, H, W), got {tuple(luma.shape)}")
        height, width = luma.shape[-2:]
        scaled = (2 * luma - 1).to(self.head.weight.dtype)
        if self.unshuffle > 1:
            below, right = -height % self.unshuffle, -width % self.unshuffle
            scaled = functional.pad(scaled, (0, right, 0, below), mode="replicate")
            scaled = functional.pixel_unshuffle(scaled, self.unshuffle)
        features = activate(self.head(scaled), _SLOPE)
        for block in self.blocks:
            features = block(features, qp)
        for conv in self.tail:
            features = activate(conv(features), _SLOPE)
        correction = torch.tanh(self.output(features).to(luma.dtype))
        if self.unshuffle > 1:
            correction = functional.pixel_shuffle(correction, self.unshuffle)
            correction = correction[..., :height, :width]
        return torch.add(luma, correction, alpha=0.5)


@register_model
def carcnn(
    width: int = 64,
    blocks: int = 15,
    unshuffle: int = 1,
    qp_adaptive: bool = False,
    qps: Sequence[float] = QPS,
) -> CARCNN:
    """CAR-CNN as in the paper; see :class:`CARCNN` for the options."""
    return CARCNN(width, blocks, unshuffle, qp_adaptive, qps)


@register_model
def carcnn_small(
    width: int = 64,
    blocks: int = 8,
    unshuffle: int = 2,
    qp_adaptive: bool = False,
    qps: Sequence[float] = QPS,
) -> CARCNN:
    """Ours: CAR-CNN's network at half resolution with 8 blocks, a seventh of the arithmetic."""
    return CARCNN(width, blocks, unshuffle, qp_adaptive, qps)
