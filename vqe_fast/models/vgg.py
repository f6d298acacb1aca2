"""The convolutional part of VGG16 and VGG19 (Simonyan and Zisserman), as torchvision has it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

_STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """VGG's convolutions, ReLUs and poolings, with the keys of torchvision's ``features``.

    Layers are called by torchvision's index, or by what they are: ``"relu3_1"`` is the ReLU after
    the first convolution of the third stage, ``"conv5_4"`` a convolution without its ReLU.
    Weights are random (He) until some are loaded.

    Args:
        depth: 16 or 19.

    Raises:
        ValueError: another depth.
    """

    def __init__(self, depth: int = 19) -> None:
        super().__init__()
        if depth not in _STAGES:
            raise ValueError(f"depth must be 16 or 19, got {depth}")
        layers: list[nn.Module] = []
        self._index: dict[str, int] = {}
        entering = 3
        for stage, (count, channels) in enumerate(
            zip(_STAGES[depth], _CHANNELS, strict=True), start=1
        ):
            for number in range(1, count + 1):
                self._index[f"conv{stage}_{number}"] = len(layers)
                self._index[f"relu{stage}_{number}"] = len(layers) + 1
                layers += [nn.Conv2d(entering, channels, 3, padding=1), nn.ReLU()]
                entering = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        for layer in self.features:
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
