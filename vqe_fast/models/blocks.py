"""Building blocks that several models share: initialisation, activation, residual block."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def he_init(network: nn.Module, slope: float, branch_end: str | None = None) -> None:
    """Gives all convolutions He's first values, for LeakyReLU, and no bias.

    With PyTorch's own, a network without normalisation attenuates the frame layer by layer, and
    learns several times as slowly.

    Args:
        network: its convolutions have biases.
        slope: of the LeakyReLU; 0 for ReLU.
        branch_end: name, within its block, of the last convolution of a residual branch, if there
            are any. These get a tenth of the values: each block starts as a small change.
    """
    for name, conv in network.named_modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.kaiming_normal_(conv.weight, a=slope)
            nn.init.zeros_(cast(Tensor, conv.bias))
            if name.rpartition(".")[2] == branch_end:
                conv.weight.mul_(0.1)


@torch.no_grad()
def xavier_init(network: nn.Module) -> None:
    """Gives all convolutions and deconvolutions Xavier's first values, uniform, and no bias.

    Args:
        network: its convolutions have biases.
    """
    for conv in network.modules():
        if isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(cast(Tensor, conv.bias))


def activate(made: Tensor, slope: float) -> Tensor:
    """LeakyReLU of what nothing else holds: without gradients, in its memory."""
    return F.leaky_relu(made, slope, inplace=not torch.is_grad_enabled())


def add_to(made: Tensor, features: Tensor) -> Tensor:
    """The sum of features and what nothing else holds: without gradients, in the memory of that."""
    if torch.is_grad_enabled() or made.dtype != features.dtype:
        return features + made
    return made.add_(features)


class ResidualBlock(nn.Module):
    """Residual block: x + conv(LeakyReLU(conv(x))), 3×3.

    Args:
        width: channels.
        slope: of the LeakyReLU; 0 for ReLU.
    """

    def __init__(self, width: int, slope: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.slope = slope

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) → the same shape."""
        changed = self.second(activate(self.first(features), self.slope))
        return add_to(changed, features)
