"""What counting finds, against arithmetic by hand."""

import itertools

import pytest
import torch
from torch import nn

import vqe_fast
from vqe_fast import create_model, list_models
from vqe_fast.models import Cost, ModelSpec, cost, spec_of

SMALL = (64, 96)
"""A size that every alignment divides."""


def built(name, **options):
    """Without memory: what is counted does not depend on weights."""
    with torch.device("meta"):
        return create_model(name, **options)


def test_carcnn():
    """34 convolutions of 3×3."""
    macs = 9 * 64 + 32 * 9 * 64**2 + 9 * 64
    assert cost(built("carcnn")) == Cost(macs / 1000, 1_182_913, 69)


@pytest.mark.parametrize("qp_adaptive", [False, True])
def test_carcnn_small(qp_adaptive):
    """At half resolution a pixel has a quarter of each convolution; gains add none."""
    macs = (9 * 4 * 64 + 18 * 9 * 64**2 + 9 * 64 * 4) / 4
    found = cost(built("carcnn_small", qp_adaptive=qp_adaptive))
    assert found.kmac_per_pixel == macs / 1000 == 167.04
    assert found.receptive_field == 82


def dualres_macs(width, deep_width, before, deep, after):
    """Two transforms of 24 bands by 48 samples, then layers at 1/16 and 1/64 of the pixels."""
    cell = 2 * 24 * 48 + 2 * 9 * 24 * width + (before + after) * 2 * 9 * width**2
    coarse = 9 * width * deep_width + deep * 2 * 9 * deep_width**2 + deep_width * 4 * width
    return cell / 16 + coarse / 64


def test_dualres():
    small = cost(built("dualres_s"))
    assert small.kmac_per_pixel == dualres_macs(48, 64, 4, 1, 3) / 1000 == 21.36
    assert small.parameters == 433_432
    medium = cost(built("dualres_m"))
    assert medium.kmac_per_pixel == dualres_macs(64, 96, 6, 2, 5) / 1000 == 58.992


def galteri_macs(width, blocks, inverted):
    half = 9 * width**2
    if inverted:
        half += blocks * (2 * 6 * width**2 + 9 * 6 * width)
    else:
        half += blocks * 2 * 9 * width**2
    return 9 * 3 * width + half / 4 + 9 * width**2 + 9 * 3 * width


@pytest.mark.parametrize(
    ("name", "width", "blocks", "inverted"),
    [
        ("galteri_base", 64, 15, False),
        ("galteri_fast", 32, 12, True),
        ("galteri_very_fast", 8, 16, True),
    ],
)
def test_galteri(name, width, blocks, inverted):
    """A convolution with stride counts where it stands, one by channel once a channel."""
    macs = galteri_macs(width, blocks, inverted)
    assert cost(built(name)).kmac_per_pixel == macs / 1000


def multiscale_macs():
    """Of one scale, for a pixel of its image."""
    channels = (32, 64, 128, 256)
    macs = 0.0
    for level, (entering, leaving) in enumerate(itertools.pairwise((3, *channels))):
        macs += (9 * entering * leaving + 4 * 9 * leaving**2) / 4**level
    for level, entering, leaving in ((3, 256, 128), (2, 256, 64), (1, 128, 32)):
        macs += (4 * 9 * entering**2 + 16 * entering * leaving) / 4**level
    return macs + 4 * 9 * 64**2 + 9 * 64 * 3


def test_multiscale():
    """A deconvolution multiplies every sample that it takes by 4×4 weights."""
    found = [cost(built("multiscale", scales=n), size=SMALL).kmac_per_pixel for n in (1, 2)]
    assert found == pytest.approx([multiscale_macs() / 1000, 1.25 * multiscale_macs() / 1000])


def basicvsr_macs(scale, width, blocks):
    """Of one more frame of a clip, for a pixel of it: with two flows, there and back."""
    levels = sum(4.0**-level for level in range(6))
    flow = levels * 49 * (8 * 32 + 32 * 64 + 64 * 32 + 32 * 16 + 16 * 2)
    trunk = 9 * (3 + width) * width + blocks * 2 * 9 * width**2
    last = width if scale == 1 else 64
    upsampling = 0 if scale == 1 else 9 * width * 4 * width + 4 * 9 * width * 4 * last
    tail = scale**2 * (9 * last**2 + 9 * 3 * last)
    return 2 * flow + 2 * trunk + 2 * width**2 + upsampling + tail


@pytest.mark.parametrize("scale", [1, 4])
def test_basicvsr(scale):
    """For a frame of a clip, however long, and a pixel of what comes out."""
    found = cost(built("basicvsr", scale=scale, width=16, blocks=2), size=SMALL)
    macs = basicvsr_macs(scale, 16, 2) / scale**2
    assert found.kmac_per_pixel == pytest.approx(macs / 1000)


def test_astf():
    """Three networks; what the fusion does to single samples is not counted."""
    found = cost(built("astf", width=16, blocks=2), size=SMALL)
    assert found.kmac_per_pixel == pytest.approx(3 * basicvsr_macs(1, 16, 2) / 1000)


@pytest.mark.parametrize(("block", "scale", "channels"), [(1, 3, 256), (3, 4, 512), (5, 5, 512)])
@pytest.mark.parametrize("size", [SMALL, (1088, 1920)], ids=str)
def test_attention(block, scale, channels, size):
    """Two projections, and each position with each: the map of a large frame would take 68 GB."""
    bare = cost(built("pequenet", configuration="B"), size=size)
    attending = cost(built("pequenet", configuration="B", attention_blocks=(block,)), size=size)
    shrinking = 4 ** (scale - 1)
    positions = size[0] * size[1] // shrinking
    projected = channels // 2
    macs = (2 * channels * projected + positions * (projected + channels)) / shrinking
    assert attending.kmac_per_pixel - bare.kmac_per_pixel == pytest.approx(macs / 1000)


def test_attention_in_columns():
    """Six columns attend to a sixth each."""
    kmacs = [
        cost(built("pequenet", attention=kind, configuration=configuration)).kmac_per_pixel
        for kind in ("exact", "columns")
        for configuration in ("B", "C")
    ]
    projections = 2 * 256 * 128 / 16 / 1000
    whole, columns = kmacs[1] - kmacs[0], kmacs[3] - kmacs[2]
    assert whole - projections == pytest.approx(6 * (columns - projections))


def test_attention_counts_the_same_with_and_without_kernels():
    model = built("pequenet", configuration="C")
    with vqe_fast.backend("reference"):
        reference = cost(model, size=SMALL)
    assert cost(model, size=SMALL) == reference


def test_identity():
    assert cost(create_model("identity")) == Cost(0.0, 0, 1)


def test_frozen_parameters_are_left_out():
    assert cost(built("pequenet"), size=SMALL).parameters == 26_329_281


def test_twice_the_width_is_four_times_the_arithmetic():
    narrow, wide = (cost(built("dualres_s", width=w, deep_width=w)) for w in (64, 128))
    assert 3.8 < wide.kmac_per_pixel / narrow.kmac_per_pixel < 4


class Mixture(nn.Module):
    """Layers that no registered model has; an output twice as wide and as high."""

    def __init__(self):
        super().__init__()
        self.grouped = nn.Conv2d(12, 8, (1, 5), padding=(0, 2), groups=4)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2, groups=2)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 3)
        self.spec = ModelSpec(
            planes="rgb",
            temporal_radius=2,
            recurrent=False,
            takes_qp=False,
            receptive_field=7,
            alignment=1,
            value_range=(0.0, 1.0),
            scale=2,
        )

    def forward(self, frames):
        assert frames.shape[:3] == (1, 5, 3)
        features = self.norm(self.up(self.grouped(frames[:, :4].flatten(1, 2))))
        weights = features.flatten(2).mT.mean(1, keepdim=True)
        return self.linear(features.movedim(1, -1)).movedim(-1, 1) + (weights @ weights.mT).sum()


def test_kinds_of_layers():
    """Groups, strides, linear layers and products of matrices, for a pixel of the output."""
    macs = (5 * 12 * 8 // 4 + 4 * 8 * 4 // 2) / 4 + 4 * 3 + 4 / (4 * 48)
    assert cost(Mixture(), size=(6, 8)).kmac_per_pixel == pytest.approx(macs / 1000)


def test_the_model_is_left_as_it_is():
    model = Mixture().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cost(model, size=(6, 8))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_any_dtype(dtype):
    model = built("dualres_s", width=8).to(dtype)
    assert cost(model) == cost(built("dualres_s", width=8))


@pytest.mark.parametrize("name", list_models())
def test_receptive_field_is_that_of_the_spec(name):
    model = built(name)
    assert cost(model, size=SMALL).receptive_field == spec_of(model).receptive_field


def test_wrong_size():
    with pytest.raises(
        ValueError, match="size's height must be a whole number of at least 1, got 0"
    ):
        cost(built("carcnn_small"), size=(0, 8))
    with pytest.raises(ValueError, match="at least 16×16, got 8×8"):
        cost(built("pequenet"), size=(8, 8))
