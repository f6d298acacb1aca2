"""Few steps of each model on a crop of one real compressed clip, by the losses of its paper.

What does not learn gains nothing in any number of steps: there are as many as show that it does.

Discriminators are held still here: against ones that learn, where a run is after so few steps
differs from processor to processor.
"""

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

QP = 37


@pytest.fixture(scope="module")
def clip():
    """Originals and x264's rendering of a place in it, (1, 3, 3, 64, 64) RGB in [0, 1]."""
    return crops_of(COLLECTION / "train" / "video" / "davis_goat.mkv", qp=QP, places=1)


@pytest.fixture
def crop(clip):
    """The middle of it, a quarter of its pixels."""
    return middle(clip, 32)


@pytest.fixture
def small_crop(clip):
    """A sixteenth of its pixels."""
    return middle(clip, 16)


def middle(clip, size):
    inside = slice(32 - size // 2, 32 + size // 2)
    return [frames[..., inside, inside].contiguous() for frames in clip]


def minimise(model, loss, rate, steps):
    """So many steps of Adam; the losses."""
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    losses = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        losses.append(value.item())
    return losses


def regression(name, options, loss, clip, rate, steps):
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
    minimise(model, lambda: loss(model(*arguments), original), rate, steps)
    with torch.no_grad():
        return psnr(model(*arguments), original) - psnr(compressed, original)


@pytest.mark.parametrize("qp_adaptive", (False, True))
def test_carcnn(qp_adaptive, crop):
    """0.79 · (1 − SSIM) + 0.21 · MSE gains half a decibel as well."""
    options = {"unshuffle": 2, "qp_adaptive": qp_adaptive}
    assert regression("carcnn", options, nn.SSIMMSELoss(), crop, 4e-4, 20) > 0.5


def test_multiscale(small_crop):
    """It draws the frame anew, and in the end it is better than what went in."""
    features = nn.multiscale_feature_loss(VGG(16).requires_grad_(False))
    loss = lambda a, b: F.mse_loss(a, b) + features(a, b)  # noqa: E731
    assert regression("multiscale", {}, loss, small_crop, 4e-4, 28) > 0.5


def test_basicvsr(small_crop):
    options = {"scale": 1, "width": 16, "blocks": 3}
    assert regression("basicvsr", options, nn.CharbonnierLoss(), small_crop, 1e-3, 18) > 0.5


def test_astf(small_crop):
    options = {"width": 8, "blocks": 2}
    assert regression("astf", options, nn.CharbonnierLoss(), small_crop, 1e-3, 12) > 0.5


def last_to_first(losses, count):
    """The mean of so many of the last losses by that of the first ones."""
    return sum(losses[-count:]) / sum(losses[:count])


def test_galteri(crop):
    """VGG19 + 0.001 · adversarial falls by a tenth; the second term alone cannot fall much."""
    torch.manual_seed(0)
    generator = create_model("galteri_base")
    discriminator = SubPatchDiscriminator().requires_grad_(False)
    original, compressed = (frames[:, 1] for frames in crop)
    features = nn.galteri_feature_loss(VGG(19).requires_grad_(False))

    def loss():
        restored = generator(compressed)
        verdict = discriminator(restored, compressed)
        return features(restored, original) + 1e-3 * nn.adversarial_generator_loss(verdict)

    assert last_to_first(minimise(generator, loss, 4e-4, 28), 10) < 0.9


def test_pequenet(clip):
    """LSGAN + 10 · VGG19 + 10 · feature matching falls by a fifth.

    Its discriminator takes no less than 64×64.
    """
    torch.manual_seed(0)
    generator = create_model("pequenet")
    discriminator = PatchDiscriminator().requires_grad_(False)
    originals, frames = (x.mean(2, keepdim=True) for x in clip)
    original = originals[:, 1]
    features = nn.pequenet_feature_loss(VGG(19).requires_grad_(False), (1, 0.5, 0.25))

    def loss():
        restored = generator(frames, QP)
        verdict, fakes = discriminator(restored)
        matching = nn.feature_matching_loss(fakes, discriminator(original)[1])
        adversarial = nn.lsgan_generator_loss(verdict)
        return adversarial + 10 * features(restored, original) + 10 * matching

    assert last_to_first(minimise(generator, loss, 2e-4, 15), 5) < 0.8
