"""Measures by features of classifiers: LPIPS, and the distance on EfficientNet-Lite0."""

from __future__ import annotations

import torch
from torch import nn

from vqe_fast.metrics.frame_measure import FrameMeasure, of_images
from vqe_fast.models.alexnet import AlexNet
from vqe_fast.models.efficientnet import published_trunk
from vqe_fast.models.model_hash import model_hash
from vqe_fast.models.vgg import VGG
from vqe_fast.nn import LPIPS, efficientnet_distance
from vqe_fast.nn.lpips import ALEXNET_TAPS, VGG16_TAPS
from vqe_fast.weights.trunks import lpips_heads, trunk_features


def lpips(device: torch.device) -> FrameMeasure:
    """LPIPS on AlexNet, version 0.1, as papers report it.

    Raises:
        WeightsError: AlexNet's features or its heads are not there.
    """
    return _lpips("lpips", "alexnet", AlexNet(), ALEXNET_TAPS, 31, device)


def lpips_vgg(device: torch.device) -> FrameMeasure:
    """LPIPS on VGG16, version 0.1.

    Raises:
        WeightsError: VGG's features or its heads are not there.
    """
    return _lpips("lpips_vgg", "vgg16", VGG(16), VGG16_TAPS, 16, device)


def efficientnet(device: torch.device) -> FrameMeasure:
    """Feature distance on EfficientNet-Lite0, see :func:`vqe_fast.nn.efficientnet_distance`.

    Raises:
        WeightsError: the weights are not there.
    """
    distance = efficientnet_distance(published_trunk())
    return _measure("efficientnet_distance", distance, 1, device)


def _lpips(
    name: str,
    classifier: str,
    trunk: AlexNet | VGG,
    taps: tuple[str, ...],
    smallest: int,
    device: torch.device,
) -> FrameMeasure:
    trunk.load_state_dict(trunk_features(classifier))
    return _measure(name, LPIPS(trunk, lpips_heads(classifier), taps), smallest, device)


def _measure(name: str, network: nn.Module, smallest: int, device: torch.device) -> FrameMeasure:
    network.requires_grad_(False).eval().to(device)
    about = {"network": model_hash(network), "device": device.type}
    return FrameMeasure(name, of_images(network, device), about, (smallest, smallest))
