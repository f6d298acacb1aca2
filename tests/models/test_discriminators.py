import pytest
import torch

from vqe_fast.models.discriminators import PatchDiscriminator


def test_patch_discriminator():
    """Size of the paper's network, a verdict for each patch, four maps for feature matching."""
    discriminator = PatchDiscriminator()
    assert sum(p.numel() for p in discriminator.parameters()) == 694_113
    luma = torch.rand(2, 1, 128, 96)
    verdict, features = discriminator(luma)
    assert verdict.shape == (2, 1, 5, 3)
    assert [f.shape[1:] for f in features] == [
        (32, 64, 48),
        (64, 32, 24),
        (128, 16, 12),
        (256, 8, 6),
    ]
    assert all(0.015 < layer[0].weight.std() < 0.025 for layer in discriminator.layers)


def test_patches_are_judged_by_themselves():
    """The verdict on a patch depends on its own pixels: 94 on a side."""
    discriminator = PatchDiscriminator().eval()
    luma = torch.rand(1, 1, 128, 128, requires_grad=True)
    verdict, _ = discriminator(luma)
    (gradient,) = torch.autograd.grad(verdict[0, 0, 2, 2], luma)
    rows = gradient[0, 0].any(dim=1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 94


def test_too_small():
    with pytest.raises(ValueError, match=r"at least 64×64, got \(1, 1, 63, 80\)"):
        PatchDiscriminator()(torch.rand(1, 1, 63, 80))
