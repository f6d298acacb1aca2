"""Which discriminator sees which frames."""

import pytest
import torch

from vqe_fast.training.adversary import Adversary
from vqe_fast.training.recipe import AdversarialRecipe, OptimiserRecipe
from vqe_fast.training.restoration import Restored

CPU = torch.device("cpu")


def adversarial(discriminator, **options):
    return AdversarialRecipe(
        discriminator=discriminator,
        loss="lsgan" if discriminator == "patch" else "standard",
        weight=1.0,
        optimiser=OptimiserRecipe(rate=1e-4),
        **options,
    )


def restored(channels):
    generator = torch.Generator().manual_seed(channels)
    return Restored(*torch.rand(3, 2, channels, 64, 64, generator=generator))


def test_patches_are_of_luma():
    """Chroma of Y'CbCr changes nothing for the patch discriminator."""
    torch.manual_seed(0)
    adversary = Adversary(adversarial("patch", feature_matching=1.0), CPU, "yuv")
    frames = restored(3)
    luma = Restored(*(planes[:, :1] for planes in frames[:3]))
    for terms in (adversary.own_terms, adversary.generator_terms):
        whole, alone = terms(frames), terms(luma)
        assert whole.keys() == alone.keys()
        for name, value in whole.items():
            torch.testing.assert_close(value, alone[name], msg=name)


def test_sub_patches_are_of_three_planes():
    terms = Adversary(adversarial("sub_patch"), CPU, "yuv").generator_terms(restored(3))
    assert terms["adversarial"].isfinite() and len(terms) == 1


@pytest.mark.parametrize(
    ("discriminator", "planes", "fitting"),
    [("patch", "rgb", "sub_patch"), ("sub_patch", "y", "patch")],
)
def test_a_discriminator_that_does_not_fit(discriminator, planes, fitting):
    message = f"the discriminator {discriminator} cannot see frames of {planes}: choose {fitting}$"
    with pytest.raises(ValueError, match=message):
        Adversary(adversarial(discriminator), CPU, planes)
