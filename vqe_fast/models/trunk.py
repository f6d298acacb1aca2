"""Feature trunk: the convolutional part of a classifier, for models and losses."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class FeatureTrunk(nn.Module):
    """Feature trunk with torchvision's ``features`` keys, random (He) until weights are loaded.

    Args:
        layers: one after the other.
        names: other names of some of them → their index.
    """

    def __init__(self, layers: Sequence[nn.Module], names: dict[str, int]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self._index = names
        for layer in self.features.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor, taps: Sequence[str | int]) -> list[Tensor]:
        """The outputs of some layers.

        Args:
            images: (B, 3, H, W), H and W large enough for the poolings before the last layer.
            taps: names or indices of layers; nothing after the last of them is computed.

        Returns:
            The output of each, in the order of ``taps``.

        Raises:
            ValueError: there is no such layer.
        """
        wanted = [self._place(tap) for tap in taps]
        found: dict[int, Tensor] = {}
        values = images
        for index, layer in enumerate(self.features):
            # In place, but for what was asked for without its ReLU.
            in_place = isinstance(layer, nn.ReLU) and index - 1 not in wanted
            values = F.relu_(values) if in_place else layer(values)
            if index in wanted:
                found[index] = values
            if index == max(wanted):
                break
        return [found[index] for index in wanted]

    def _place(self, tap: str | int) -> int:
        index = self._index.get(tap) if isinstance(tap, str) else tap
        if index is None or not 0 <= index < len(self.features):
            raise ValueError(
                f"there is no layer {tap!r}; there are 0 to {len(self.features) - 1} and "
                f"{', '.join(self._index)}"
            )
        return index
