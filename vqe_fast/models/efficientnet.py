"""The convolutional part of EfficientNet-Lite0 (Tan and Le; the variant without attention)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqe_fast.models.trunk import FeatureTrunk
from vqe_fast.weights import WeightsError
from vqe_fast.weights.trunks import efficientnet_lite0_state

_STAGES = (
    # channels, blocks, kernel, stride, expansion
    (16, 1, 3, 1, 1),
    (24, 2, 3, 2, 6),
    (40, 2, 5, 2, 6),
    (80, 3, 3, 2, 6),
    (112, 3, 5, 1, 6),
    (192, 4, 5, 2, 6),
    (320, 1, 3, 1, 6),
)
_STEM = 32
_EPS = 1e-3  # of the checkpoint's batch normalisation


class EfficientNetLite0(FeatureTrunk):
    """EfficientNet-Lite0's stem and seven stages, batch normalisation folded into convolutions.

    Layers are called ``"stem"`` and ``"stage1"`` to ``"stage7"``, the last block of each; an
    index is that of a block, 0 of the stem. The stem and stage 1 have half the size of the image,
    stage 2 a quarter, stage 3 an eighth, 4 and 5 a sixteenth, 6 and 7 a thirty-second. Stages end
    in a projection without activation, so their features have either sign. As in TensorFlow, whose
    weights these are, zeros are padded so that cells begin at the first pixel. Weights are random
    (He) until some are loaded.

    Attributes:
        mean: of red, green and blue in [0, 1], which the classifier's training subtracted.
        deviation: which it divided by.
    """

    mean = (127 / 255,) * 3
    deviation = (128 / 255,) * 3

    def __init__(self) -> None:
        layers: list[nn.Module] = [_Stem()]
        index = {"stem": 0}
        entering = _STEM
        for number, (channels, blocks, kernel, stride, expansion) in enumerate(_STAGES, start=1):
            for block in range(blocks):
                layers.append(_Block(entering, channels, kernel, 1 if block else stride, expansion))
                entering = channels
            index[f"stage{number}"] = len(layers) - 1
        super().__init__(layers, index)

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Loads the state dict of ``efficientnet_lite_pytorch``, its normalisation folded.

        Raises:
            WeightsError: a tensor is missing or has another shape.
        """
        try:
            with torch.no_grad():
                for number, layer in enumerate(self.features):
                    assert isinstance(layer, _Stem | _Block)
                    prefix = f"_blocks.{number - 1}." if number else ""
                    for part, (convolution, norm) in layer.published.items():
                        _fold(layer.get_submodule(part), state, prefix + convolution, prefix + norm)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"these are not the weights of EfficientNet-Lite0: {error}"
            ) from error


def published_trunk(path: str | Path | None = None) -> EfficientNetLite0:
    """EfficientNet-Lite0 trained on ImageNet, not to be trained on.

    Args:
        path: of its weights, see :func:`vqe_fast.weights.trunks.efficientnet_lite0_state`.

    Raises:
        WeightsError: the weights are not there, or the file is another.
    """
    trunk = EfficientNetLite0()
    trunk.load_published(efficientnet_lite0_state(path))
    return trunk.requires_grad_(False)


class _Same(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME does: ceil(size / stride) values."""

    def __init__(
        self, entering: int, leaving: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(entering, leaving, kernel, stride, groups=groups)

    def forward(self, images: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = [
            max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in images.shape[2:]
        ]
        rows, columns = missing
        if rows % 2 == 0 and columns % 2 == 0:
            padding = (rows // 2, columns // 2)
            return F.conv2d(
                images, self.weight, self.bias, self.stride, padding, groups=self.groups
            )
        sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return super().forward(F.pad(images, sides))


class _Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.published = {"convolution": ("_conv_stem", "_bn0")}
        self.convolution = _Same(3, _STEM, 3, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return F.relu6(self.convolution(images))


class _Block(nn.Module):
    """Inverted residual: 1×1 that widens, depthwise, 1×1 that narrows without activation."""

    def __init__(
        self, entering: int, leaving: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        hidden = entering * expansion
        self.published = {
            "depthwise": ("_depthwise_conv", "_bn1"),
            "project": ("_project_conv", "_bn2"),
        }
        self.expand: nn.Module = nn.Identity()
        if expansion > 1:
            self.published["expand"] = ("_expand_conv", "_bn0")
            self.expand = nn.Sequential(nn.Conv2d(entering, hidden, 1), nn.ReLU6())
        self.depthwise = _Same(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, leaving, 1)
        self._is_residual = stride == 1 and entering == leaving

    def forward(self, values: Tensor) -> Tensor:
        hidden = F.relu6(self.depthwise(self.expand(values)))
        projected: Tensor = self.project(hidden)
        return values + projected if self._is_residual else projected


def _fold(module: nn.Module, state: Mapping[str, Tensor], convolution: str, norm: str) -> None:
    """A convolution with the batch normalisation after it, as one with a bias."""
    target = module[0] if isinstance(module, nn.Sequential) else module
    assert isinstance(target, nn.Conv2d) and target.bias is not None
    deviation = (state[f"{norm}.running_var"] + _EPS).sqrt()
    gain = state[f"{norm}.weight"] / deviation
    target.weight.copy_(state[f"{convolution}.weight"] * gain.view(-1, 1, 1, 1))
    target.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain)
