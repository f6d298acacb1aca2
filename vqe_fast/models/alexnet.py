"""The convolutional part of AlexNet (Krizhevsky), as torchvision has it."""

from __future__ import annotations

from torch import nn

from vqe_fast.models.trunk import FeatureTrunk


class AlexNet(FeatureTrunk):
    """AlexNet's convolutions, ReLUs and poolings, with the keys of torchvision's ``features``.

    Layers are called by torchvision's index, or ``"conv1"`` to ``"relu5"``.
    """

    def __init__(self) -> None:
        layers = [
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        ]
        convolutions = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        names = {f"conv{n}": i for n, i in enumerate(convolutions, start=1)}
        names |= {f"relu{n}": i + 1 for n, i in enumerate(convolutions, start=1)}
        super().__init__(layers, names)
