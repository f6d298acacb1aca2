"""Adversarial losses of generators and discriminators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def lsgan_generator_loss(fake: Tensor) -> Tensor:
    """mean (D(G) − 1)²; PeQuENet eq. 3.

    Args:
        fake: the discriminator's verdicts on what was generated, any shape, unbounded.
    """
    return (fake - 1).square().mean()


def lsgan_discriminator_loss(fake: Tensor, real: Tensor) -> Tensor:
    """½ mean D(G)² + ½ mean (D(x) − 1)²; PeQuENet eq. 6.

    Args:
        fake: verdicts on what was generated, without a graph to the generator.
        real: verdicts on originals.
    """
    return (fake.square().mean() + (real - 1).square().mean()) / 2


def adversarial_generator_loss(fake: Tensor) -> Tensor:
    """−log D(G); Galteri eq. 7.

    Args:
        fake: probabilities in [0, 1] that what was generated is an original.
    """
    return F.binary_cross_entropy(fake, torch.ones_like(fake))


def adversarial_discriminator_loss(fake: Tensor, real: Tensor) -> Tensor:
    """−log D(x) − log(1 − D(G)); Galteri eq. 4.

    Args:
        fake: probabilities for what was generated, without a graph to the generator.
        real: probabilities for originals.
    """
    of_fake = F.binary_cross_entropy(fake, torch.zeros_like(fake))
    return of_fake + F.binary_cross_entropy(real, torch.ones_like(real))


def feature_matching_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Σ over the discriminator's layers of the mean L1 between their features; PeQuENet eq. 5.

    Args:
        fake: features of what was generated.
        real: features of the originals, which get no gradient.

    Raises:
        ValueError: there are not as many of each, or none.
    """
    if not fake or len(fake) != len(real):
        raise ValueError(
            f"fake and real must have features of the same layers, got {len(fake)} and {len(real)}"
        )
    pairs = zip(fake, real, strict=True)
    return torch.stack([F.l1_loss(a, b.detach()) for a, b in pairs]).sum()
