"""200 steps of each model on crops of one real compressed clip, by the losses of its paper."""

import pytest
import torch
from torch.nn import functional as F

from support.compressed import crops_of, psnr
from support.footage import COLLECTION, needs_collection
from vqe_fast import create_model, nn
from vqe_fast.models import spec_of
from vqe_fast.models.discriminators import PatchDiscriminator, SubPatchDiscriminator
from vqe_fast.models.vgg import VGG

pytestmark = needs_collection

STEPS = 200
QP = 37


@pytest.fixture(scope="module")
def clip():
    """Originals and x264's rendering of a place in it, (1, 3, 3, 64, 64) RGB in [0, 1]."""
    return crops_of(COLLECTION / "train" / "video" / "davis_goat.mkv", qp=QP, places=1)


def minimise(model, loss, rate):
    """200 steps of Adam; the losses."""
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        losses.append(value.item())
    return losses


def regression(name, options, loss, clip, rate):
    """The gain in PSNR of the middle frame, or of the clip if the model is recurrent."""
    torch.manual_seed(0)
    model = create_model(name, **options)
    spec = spec_of(model)
    original, compressed = clip
    if spec.planes == "y":
        original, compressed = original.mean(2, keepdim=True), compressed.mean(2, keepdim=True)
    if not spec.recurrent:
        original, compressed = original[:, 1], compressed[:, 1]
    arguments = (compressed, QP) if spec.takes_qp else (compressed,)
    minimise(model, lambda: loss(model(*arguments), original), rate)
    with torch.no_grad():
        return psnr(model(*arguments), original) - psnr(compressed, original)


@pytest.mark.parametrize("qp_adaptive", (False, True))
def test_carcnn(qp_adaptive, clip):
    """0.79 · (1 − SSIM) + 0.21 · MSE gains half a decibel as well."""
    options = {"unshuffle": 2, "qp_adaptive": qp_adaptive}
    assert regression("carcnn", options, nn.SSIMMSELoss(), clip, 4e-4) > 0.5


def test_multiscale(clip):
    """It draws the frame anew, and in the end it is better than what went in."""
    features = nn.multiscale_feature_loss(VGG(16).requires_grad_(False))
    loss = lambda a, b: F.mse_loss(a, b) + features(a, b)  # noqa: E731
    assert regression("multiscale", {}, loss, clip, 4e-4) > 0.5


def test_basicvsr(clip):
    options = {"scale": 1, "width": 16, "blocks": 3}
    assert regression("basicvsr", options, nn.CharbonnierLoss(), clip, 4e-4) > 0.5


def test_astf(clip):
    options = {"width": 8, "blocks": 2}
    assert regression("astf", options, nn.CharbonnierLoss(), clip, 1e-3) > 0.5


def last_to_first(losses):
    """The mean of the last ten losses by that of the first ten."""
    return sum(losses[-10:]) / sum(losses[:10])


def test_galteri(clip):
    """Against a discriminator that learns too, the features' distance falls to a third."""
    torch.manual_seed(0)
    generator, discriminator = create_model("galteri_fast"), SubPatchDiscriminator()
    original, compressed = (frames[:, 1] for frames in clip)
    features = nn.galteri_feature_loss(VGG(19).requires_grad_(False))
    teaching = torch.optim.Adam(discriminator.parameters(), lr=1e-4)
    distances = []

    def loss():
        restored = generator(compressed)
        teaching.zero_grad()
        fake, real = (discriminator(x, compressed) for x in (restored.detach(), original))
        nn.adversarial_discriminator_loss(fake, real).backward()
        teaching.step()
        distance = features(restored, original)
        distances.append(distance.item())
        return distance + 1e-3 * nn.adversarial_generator_loss(discriminator(restored, compressed))

    minimise(generator, loss, 1e-3)
    assert last_to_first(distances) < 1 / 3


def test_pequenet(clip):
    """LSGAN + 10 · VGG19 + 10 · feature matching: the features' distance falls by half."""
    torch.manual_seed(0)
    generator, discriminator = create_model("pequenet"), PatchDiscriminator()
    originals, frames = (x.mean(2, keepdim=True) for x in clip)
    original = originals[:, 1]
    features = nn.pequenet_feature_loss(VGG(19).requires_grad_(False), (1, 0.5, 0.25))
    teaching = torch.optim.Adam(discriminator.parameters(), lr=1e-4)
    distances = []

    def loss():
        restored = generator(frames, QP)
        teaching.zero_grad()
        fake, real = (discriminator(x)[0] for x in (restored.detach(), original))
        nn.lsgan_discriminator_loss(fake, real).backward()
        teaching.step()
        verdict, fakes = discriminator(restored)
        matching = nn.feature_matching_loss(fakes, discriminator(original)[1])
        distance = features(restored, original)
        distances.append(distance.item())
        return nn.lsgan_generator_loss(verdict) + 10 * distance + 10 * matching

    minimise(generator, loss, 4e-4)
    assert last_to_first(distances) < 1 / 2
