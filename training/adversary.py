"""Adversarial training: the discriminator that a generator learns against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vqe_fast.models.discriminators import PatchDiscriminator, SubPatchDiscriminator
from vqe_fast.models.registry import Planes
from vqe_fast.nn import (
    adversarial_discriminator_loss,
    adversarial_generator_loss,
    feature_matching_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
)
from vqe_fast.training.recipe import AdversarialRecipe
from vqe_fast.training.restoration import Restored

_GENERATOR = {"lsgan": lsgan_generator_loss, "standard": adversarial_generator_loss}
_DISCRIMINATOR = {"lsgan": lsgan_discriminator_loss, "standard": adversarial_discriminator_loss}


class Adversary:
    """A discriminator, with its own loss and the generator's.

    Args:
        recipe: which; ``patch`` sees luma alone, ``sub_patch`` three planes.
        device: where it runs.
        planes: of the frames.

    Raises:
        ValueError: the discriminator does not fit the planes.
    """

    def __init__(self, recipe: AdversarialRecipe, device: torch.device, planes: Planes) -> None:
        self._recipe = recipe
        patch = recipe.discriminator == "patch"
        if planes == ("rgb" if patch else "y"):
            fitting = "sub_patch" if patch else "patch"
            raise ValueError(
                f"the discriminator {recipe.discriminator} cannot see frames of {planes}: choose "
                f"{fitting}"
            )
        self.discriminator: nn.Module = PatchDiscriminator() if patch else SubPatchDiscriminator()
        self.discriminator.to(device)

    def own_terms(self, restored: Restored) -> dict[str, Tensor]:
        """The discriminator's loss; no gradient reaches the generator."""
        self.discriminator.requires_grad_(True)
        fake, _ = self._verdict(restored.output.detach(), restored.compressed)
        real, _ = self._verdict(restored.pristine, restored.compressed)
        return {"discriminator": _DISCRIMINATOR[self._recipe.loss](fake, real)}

    def generator_terms(self, restored: Restored) -> dict[str, Tensor]:
        """The generator's adversarial loss."""
        recipe = self._recipe
        self.discriminator.requires_grad_(False)
        fake, fakes = self._verdict(restored.output, restored.compressed)
        terms = {"adversarial": recipe.weight * _GENERATOR[recipe.loss](fake)}
        if recipe.feature_matching:
            with torch.no_grad():
                _, reals = self._verdict(restored.pristine, restored.compressed)
            matching = feature_matching_loss(fakes, reals)
            terms["feature_matching"] = recipe.feature_matching * matching
        return terms

    def _verdict(self, frames: Tensor, compressed: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Verdicts and the discriminator's features, where it shows them."""
        if self._recipe.discriminator == "patch":
            verdict, features = self.discriminator(frames[:, :1])  # luma
            return verdict, features
        return self.discriminator(frames, compressed), []
