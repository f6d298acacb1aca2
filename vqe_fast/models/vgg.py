"""The convolutional part of VGG16 and VGG19 (Simonyan and Zisserman), as torchvision has it."""

from __future__ import annotations

from torch import nn

from vqe_fast._whole_number import one_of
from vqe_fast.models.trunk import FeatureTrunk

_STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)


class VGG(FeatureTrunk):
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
        depth = one_of("depth", depth, *_STAGES)
        layers: list[nn.Module] = []
        index: dict[str, int] = {}
        entering = 3
        for stage, (count, channels) in enumerate(
            zip(_STAGES[depth], _CHANNELS, strict=True), start=1
        ):
            for number in range(1, count + 1):
                index[f"conv{stage}_{number}"] = len(layers)
                index[f"relu{stage}_{number}"] = len(layers) + 1
                layers += [nn.Conv2d(entering, channels, 3, padding=1), nn.ReLU()]
                entering = channels
            layers.append(nn.MaxPool2d(2))
        super().__init__(layers, index)
