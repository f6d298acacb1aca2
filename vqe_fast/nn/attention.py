"""Cross-frame attention, between the features of two frames."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast._whole_number import whole_number
from vqe_fast.ops import cross_frame_attention


class CrossFrameAttention(nn.Module):
    """Cross-frame attention: 1×1 projections, softmax over another frame; PeQuENet §III-A-2.

    Query and key are the ReLU of 1×1 convolutions (with bias) of the features of the frame and of
    the reference, the values are the reference's features as they are; the logits are not scaled.
    The result is what attention finds, without the features themselves.

    With ``downsample`` r, features and reference are averaged over r×r squares first (at the right
    and the lower border over what there is) and the result is interpolated bilinearly, so that
    each square's value stands at its centre: r⁴ times less arithmetic (PeQuENet §IV-G-1, which
    names the factors 2, 4 and 6 and not the method).

    Args:
        channels: C, of both features.
        projected_channels: D, of query and key; C/2 unless it is given.
        downsample: r, at least 1.

    Raises:
        ValueError: a number is not a whole one or below 1.
    """

    def __init__(
        self, channels: int, projected_channels: int | None = None, *, downsample: int = 1
    ) -> None:
        super().__init__()
        channels = whole_number("channels", channels, 1)
        if projected_channels is None:
            projected_channels = channels // 2
        projected_channels = whole_number("projected_channels", projected_channels, 1)
        self.query = nn.Conv2d(channels, projected_channels, 1)
        self.key = nn.Conv2d(channels, projected_channels, 1)
        self.downsample = whole_number("downsample", downsample, 1)

    def forward(self, features: Tensor, reference: Tensor) -> Tensor:
        """What attention finds.

        Args:
            features: (B, C, H, W) of the frame.
            reference: (B, C, H', W') of the frame to look in.

        Returns:
            (B, C, H, W).

        Raises:
            ValueError: a side is shorter than ``downsample``, or the shapes do not fit.
        """
        factor = self.downsample
        height, width = features.shape[-2:]
        features, reference = self._downsampled(features, reference)
        query, key = F.relu(self.query(features)), F.relu(self.key(reference))
        attended = cross_frame_attention(query, key, reference)
        if factor == 1:
            return attended
        attended = F.interpolate(attended, scale_factor=float(factor), mode="bilinear")
        return attended[..., :height, :width]

    def weights(self, features: Tensor, reference: Tensor, positions: Tensor) -> Tensor:
        """Where some positions look: rows of the softmax map, which ``forward`` never stores.

        Args:
            features: (B, C, H, W) of the frame.
            reference: (B, C, H', W') of the frame to look in.
            positions: (P, 2), rows and columns in the features, after they are averaged if
                ``downsample`` is above 1.

        Returns:
            (B, P, H', W'), each map of sum 1; of the averaged reference's size.

        Raises:
            ValueError: ``positions`` has another shape or lies outside.
        """
        features, reference = self._downsampled(features, reference)
        height, width = features.shape[-2:]
        rows, columns = _checked_positions(positions, height, width)
        query = F.relu(self.query(features[:, :, rows, columns].unsqueeze(-1)))
        key = F.relu(self.key(reference))
        logits = query.squeeze(-1).mT @ key.flatten(2)
        maps: Tensor = logits.softmax(-1).unflatten(-1, reference.shape[-2:])
        return maps

    def extra_repr(self) -> str:
        """The option, for ``repr``."""
        return f"downsample={self.downsample}"

    def _downsampled(self, features: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        if self.downsample == 1:
            return features, reference
        return self._averaged("features", features), self._averaged("reference", reference)

    def _averaged(self, name: str, features: Tensor) -> Tensor:
        factor = self.downsample
        height, width = features.shape[-2:]
        if min(height, width) < factor:
            raise ValueError(
                f"{name} must be at least {factor}×{factor} for downsample {factor}, "
                f"got {height}×{width}"
            )
        return F.avg_pool2d(features, factor, ceil_mode=True)


def _checked_positions(positions: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    if positions.dim() != 2 or positions.shape[1] != 2:
        raise ValueError(f"positions must be (P, 2), got {tuple(positions.shape)}")
    rows, columns = positions.long().unbind(1)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    if not inside.all():
        outside = positions[~inside][0].tolist()
        raise ValueError(f"positions must lie in {height}×{width}, got {outside}")
    return rows, columns
