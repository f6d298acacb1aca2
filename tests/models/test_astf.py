import pytest
import torch

from support.compressed import compressed_clip, psnr
from support.errors import assert_same_direction, relative_rms
from support.recurrent import plain_basicvsr, randomised
from vqe_fast import create_model
from vqe_fast.models import load_published, spec_of
from vqe_fast.models.published import published_names
from vqe_fast.nn import CharbonnierLoss
from vqe_fast.ops import astf_fuse


def small(seed=0, **options):
    torch.manual_seed(seed)
    model = create_model("astf", **{"width": 8, "blocks": 1, "radius": 3} | options)
    for number, network in enumerate((model.stage1, model.detail, model.smooth)):
        randomised(network, seed=3 * seed + number)
    return model.eval()


@pytest.fixture
def clip():
    return torch.rand(2, 4, 3, 17, 31, generator=torch.Generator().manual_seed(1))


def test_size():
    """Three times BasicVSR without pixel shuffle; fusion has nothing to learn."""
    model = create_model("astf")
    assert sum(p.numel() for p in model.parameters()) == 3 * 5_995_887
    assert (model.fusion.radius, model.fusion.sharpen) == (11, 0.0)


def test_starts_as_the_identity(clip):
    torch.testing.assert_close(create_model("astf", width=4, blocks=1)(clip), clip)


@pytest.mark.parametrize("sharpen", [0.0, 0.7])
def test_against_its_definition(sharpen, clip):
    """Two stages in plain PyTorch, fused frame by frame; the ends are their own neighbours."""
    clip = clip[:, :3].double()
    model = small(sharpen=sharpen).double()
    coarse = plain_basicvsr(model.stage1, clip)
    detail, smooth = plain_basicvsr(model.detail, coarse), plain_basicvsr(model.smooth, coarse)
    last = clip.shape[1] - 1
    expected = torch.stack(
        [
            astf_fuse(
                detail[:, t],
                smooth[:, max(t - 1, 0)],
                smooth[:, t],
                smooth[:, min(t + 1, last)],
                radius=3,
                sharpen=sharpen,
            )
            for t in range(last + 1)
        ],
        dim=1,
    )
    torch.testing.assert_close(model(clip), expected)
    assert relative_rms(small(sharpen=sharpen)(clip.float()), expected) < 1e-5


def test_each_network_alone(clip):
    model = small()
    coarse = model.stage1(clip)
    fused = model.fusion(model.detail(coarse), model.smooth(coarse))
    assert torch.equal(model(clip), fused)
    assert not torch.equal(model.detail(coarse), model.smooth(coarse))


def test_networks_take_published_weights(clip):
    source = small(seed=1).stage1
    names = published_names(source, "mmagic")
    model = small()
    load_published(model.detail, {name: source.state_dict()[names[name]] for name in names})
    assert torch.equal(model.detail(clip), source(clip))


def test_bounded_memory_changes_nothing(clip):
    bounded = small(flow_pairs=1, backward_features="cpu")
    for network in (bounded.stage1, bounded.detail, bounded.smooth):
        assert (network.flow_pairs, network.backward_features) == (1, "cpu")
    torch.testing.assert_close(bounded(clip), small()(clip))


def test_bfloat16(clip):
    exact = small()(clip)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = small()(clip)
    with torch.inference_mode():
        in_bfloat16 = small().bfloat16()(clip)
    for result in (under_autocast, in_bfloat16):
        assert result.dtype == torch.float32
        assert relative_rms(result - clip, exact - clip) < 0.1


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("size", [(16, 16), (17, 31)])
def test_any_size(frames, size):
    enhanced = small(radius=11)(torch.rand(1, frames, 3, *size))
    assert enhanced.shape == (1, frames, 3, *size)
    assert enhanced.isfinite().all()


def test_gradients():
    """They reach every weight of all three networks, and are those of float64."""
    clip = torch.rand(1, 3, 3, 17, 32)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        model = small(sharpen=0.3).to(dtype)
        inputs = clip.to(dtype).requires_grad_()
        model(inputs).square().mean().backward()
        gradients.append([inputs.grad, *(p.grad for p in model.parameters())])
    for exact, gradient in zip(*gradients, strict=True):
        assert exact.any()
        assert_same_direction(gradient, exact)


def test_spec():
    """Two stages one after the other, the fusion's window and its sharpening."""
    spec, stage = spec_of(small(sharpen=1.0)), spec_of(small().stage1)
    assert (spec.planes, spec.recurrent) == ("rgb", True)
    assert spec.receptive_field == 2 * stage.receptive_field - 1 + 2 * (3 + 1)


def test_overfits_a_compressed_clip(tmp_path):
    """12 steps on two small frames of an H.264 clip at QP 40 gain more than half a decibel."""
    original, compressed = compressed_clip(tmp_path / "clip.mp4", frames=2, size=16)
    torch.manual_seed(0)
    model = create_model("astf", width=16, blocks=1)
    before = psnr(model(compressed), original)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = CharbonnierLoss()
    for _ in range(12):
        optimiser.zero_grad()
        loss(model(compressed), original).backward()
        optimiser.step()
    assert psnr(model(compressed), original) > before + 0.5


def test_wrong_shape():
    with pytest.raises(ValueError, match=r"clip must be \(B, T, 3, H, W\) and not empty, got \("):
        small()(torch.rand(2, 3, 16, 16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be a whole number of at least 1, got 0"),
        ({"radius": 64}, "radius must be"),
        ({"sharpen": float("nan")}, "sharpen must be"),
        ({"backward_features": "disk"}, "backward_features must be one of"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("astf", **{"width": 4, "blocks": 1} | options)
