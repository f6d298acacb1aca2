import pytest
import torch

from vqe_fast import create_model
from vqe_fast.models import spec_of
from vqe_fast.models.discriminators import SubPatchDiscriminator
from vqe_fast.models.galteri import QualityPredictor

NAMES = ("galteri_base", "galteri_fast", "galteri_very_fast")


def count(model):
    return sum(p.numel() for p in model.parameters())


def drawing(name, **options):
    """A generator that does something, also where it starts as the identity."""
    model = create_model(name, **options)
    torch.nn.init.normal_(model.output.weight, std=0.1)
    return model


def test_sizes():
    """What the layers add up to: the base network is the paper's, the others are our reading."""

    def conv(entering, leaving, side=3):
        return (entering * side**2 + 1) * leaving

    base = conv(3, 64) + 2 * conv(64, 64) + 15 * 2 * conv(64, 64) + conv(64, 3)
    assert count(create_model("galteri_base")) == base == 1_185_219
    sizes = [count(create_model(name)) for name in NAMES]
    assert sizes[0] > 5 * sizes[1] > 20 * sizes[2]


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ((1, 1), (17, 30), (32, 33)), ids=str)
def test_any_size(name, size):
    """Odd sizes are padded inside; the tanh keeps the range, of the frame or of what is added."""
    frames = torch.rand(2, 3, *size)
    restored = drawing(name).eval()(frames)
    assert restored.shape == frames.shape
    drawn = restored if name == "galteri_base" else restored - frames + 0.5
    assert drawn.min() >= 0 and drawn.max() <= 1
    rough = create_model(name).bfloat16().eval()(frames)
    assert rough.dtype == torch.float32


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES[1:])
def test_starts_as_the_identity(name):
    frames = torch.rand(1, 3, 17, 20)
    assert torch.equal(create_model(name)(frames), frames)


@pytest.mark.parametrize("name", NAMES)
def test_receptive_field(name):
    """Inputs further away than the spec says have no influence, and those near it have some."""
    model = drawing(name, width=4, blocks=2).double()
    field = spec_of(model).receptive_field
    frames = torch.rand(1, 3, 3 * field, 3 * field, dtype=torch.float64, requires_grad=True)
    for pixel in (3 * field // 2, 3 * field // 2 + 1):
        (gradient,) = torch.autograd.grad(model(frames)[0, 0, pixel, pixel], frames)
        rows = gradient[0].sum(0).any(dim=1).nonzero().flatten()
        assert pixel - rows[0] <= field // 2 and rows[-1] - pixel <= field // 2
        assert rows[-1] - rows[0] + 1 >= field - 4


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_aligned_tiles_equal_the_whole(name):
    model = drawing(name, width=4, blocks=1).double().eval()
    halo = spec_of(model).receptive_field // 2 + 1
    halo += halo % 2
    frames = torch.rand(1, 3, 4 * halo, 4 * halo, dtype=torch.float64)
    tile = model(frames[..., : 2 * halo + 2, : 2 * halo + 2])
    kept = halo + 2
    torch.testing.assert_close(tile[..., :kept, :kept], model(frames)[..., :kept, :kept])


def test_overfits_a_frame():
    """Two hundred steps on one degraded frame take more than 3 dB of its error away."""
    torch.manual_seed(0)
    clean = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6), size=(32, 32), mode="bicubic")
    clean = clean.clamp(0, 1)
    worse = (clean + 0.1 * torch.randn_like(clean)).clamp(0, 1)
    model = create_model("galteri_fast", width=8, blocks=2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(200):
        loss = (model(worse) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    before = (worse - clean).square().mean()
    assert 10 * torch.log10(before / loss.detach()) > 3


def test_sub_patches_have_16_pixels():
    """The verdict is the mean over sub-patches, and each sees 16×16 pixels of both frames."""
    discriminator = SubPatchDiscriminator()
    frames, compressed = torch.rand(2, 1, 3, 40, 40)
    for leaf in (frames, compressed):
        leaf.requires_grad_()
        features = torch.cat((frames, compressed), 1)
        for layer in discriminator.layers:
            features = torch.nn.functional.leaky_relu(layer(features), 0.2)
        (gradient,) = torch.autograd.grad(discriminator.output(features)[0, 0, 5, 7], leaf)
        rows, columns = gradient[0].sum(0).nonzero().unbind(1)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 20, 7, 22)
    assert discriminator(frames, compressed).shape == (1,)
    single = discriminator(frames[..., :16, :16], compressed[..., :16, :16])
    assert 0 < single.item() < 1


def test_quality_predictor_learns_noise():
    """It tells strongly from weakly degraded frames of any size after a few steps."""
    torch.manual_seed(0)
    predictor = QualityPredictor(4)
    optimizer = torch.optim.Adam(predictor.parameters(), 3e-3)
    levels = torch.tensor([22.0, 37.0]).repeat(8)

    def frames(side):
        smooth = torch.rand(16, 1, 4, 4)
        smooth = torch.nn.functional.interpolate(smooth, size=(side, side), mode="bilinear")
        return smooth + (levels.view(-1, 1, 1, 1) - 20) / 200 * torch.randn(16, 1, side, side)

    for _ in range(400):
        loss = (predictor(frames(48)) - levels).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        estimates = predictor(frames(75))
    assert ((estimates > 29.5) == (levels > 29.5)).all()
    assert estimates.min() >= 0 and estimates.max() <= 63


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: create_model("galteri_fast", blocks=0),
            "blocks must be a whole number of at least 1, got 0",
        ),
        (lambda: create_model("galteri_base")(torch.rand(1, 1, 8, 8)), r"frames must be \(B, 3, H"),
        (lambda: QualityPredictor(0), "width must be a whole number of at least 1"),
        (lambda: QualityPredictor()(torch.rand(1, 3, 8, 8)), r"luma must be \(B, 1, H, W\)"),
        (
            lambda: SubPatchDiscriminator()(torch.rand(1, 3, 15, 20), torch.rand(1, 3, 15, 20)),
            "at least 16×16",
        ),
        (
            lambda: SubPatchDiscriminator()(torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 21)),
            "compressed must have the shape of frames",
        ),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
