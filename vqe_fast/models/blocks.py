"""What several models are built of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """x + conv(LeakyReLU(conv(x))), 3×3.

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
        changed: Tensor = features + self.second(F.leaky_relu(self.first(features), self.slope))
        return changed
