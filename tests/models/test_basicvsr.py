import copy

import pytest
import torch
from torch.nn import functional

from support.compressed import compressed_clip, psnr
from support.errors import assert_same_direction, relative_rms
from support.recurrent import plain_basicvsr, randomised
from vqe_fast import create_model
from vqe_fast.models import spec_of
from vqe_fast.models.inference import prepare_inference


def small(scale=1, seed=0, **options):
    torch.manual_seed(seed)
    return randomised(create_model("basicvsr", scale=scale, width=8, blocks=2, **options))


@pytest.fixture
def clip():
    return torch.rand(2, 4, 3, 17, 31, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("scale", "parameters"), [(4, 6_291_311), (1, 5_995_887)])
def test_size_of_the_papers_network(scale, parameters):
    model = create_model("basicvsr", scale=scale)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_starts_as_the_identity(clip):
    """An untrained network must not be mistaken for a trained one that does harm."""
    assert torch.equal(create_model("basicvsr", scale=1, width=4, blocks=1)(clip), clip)
    frames = functional.interpolate(clip.flatten(0, 1), scale_factor=4, mode="bilinear")
    enlarged = create_model("basicvsr", width=4, blocks=1)(clip)
    assert torch.equal(enlarged.flatten(0, 1), frames)


def test_starts_with_what_differs_within_a_frame():
    """Not with its brightness, which would hide the rest from the first steps."""
    trunk = create_model("basicvsr", scale=1, width=16, blocks=1).backward_trunk
    flat = torch.rand(1, 1, 1, 1).expand(1, 3, 9, 9)
    inside = trunk(flat, None)[..., 3:-3, 3:-3]
    assert inside.abs().max() < 1e-5 * trunk(torch.rand(1, 3, 9, 9), None).abs().max()


@pytest.mark.parametrize("scale", [1, 4])
def test_against_its_definition(scale, clip):
    """No shortcut (shared pyramids, both directions at once, in-place sums) changes the values."""
    model, clip = small(scale).double(), clip.double()
    expected = plain_basicvsr(model, clip)
    torch.testing.assert_close(model(clip), expected)
    assert relative_rms(small(scale)(clip.float()), expected) < 1e-5


def test_time_reversed(clip):
    """With the two directions' weights exchanged, a clip run backward gives the same frames."""
    model = small().double()
    mirrored = copy.deepcopy(model)
    mirrored.backward_trunk, mirrored.forward_trunk = model.forward_trunk, model.backward_trunk
    mirrored.fusion.weight.data = model.fusion.weight.data.roll(8, dims=1)
    clip = clip.double()
    torch.testing.assert_close(mirrored(clip.flip(1)).flip(1), model(clip))


def test_every_frame_sees_every_other():
    model, clip = small().double(), torch.rand(1, 5, 3, 32, 32, dtype=torch.float64)
    clip.requires_grad_()
    for number in (0, 2, 4):
        (gradient,) = torch.autograd.grad(model(clip)[:, number].square().sum(), clip)
        assert gradient.flatten(2).any(dim=2).all()


def test_a_single_frame_has_no_motion():
    """SPyNet is not even run."""
    model = small()
    for parameter in model.spynet.parameters():
        parameter.data.fill_(float("nan"))
    frame = torch.rand(1, 1, 3, 20, 20)
    assert torch.equal(model(frame), small()(frame))
    assert not torch.equal(model(frame), frame)


@pytest.mark.parametrize("flow_pairs", [None, 1, 2, 100])
def test_pairs_at_a_time(flow_pairs, clip):
    torch.testing.assert_close(small(flow_pairs=flow_pairs)(clip), small(flow_pairs=3)(clip))


def test_pairs_at_a_time_reach_spynet(clip, monkeypatch):
    """What bounds the memory: pairs of two directions, for each clip of the batch.

    The pyramid of each frame is made once, whatever the pairs at a time.
    """
    model, pairs, frames = small(flow_pairs=2), [], []
    flow, pyramid = model.spynet.flow, model.spynet.pyramid

    def counted_flow(reference, other, size):
        pairs.append(len(reference[0]))
        return flow(reference, other, size)

    def counted_pyramid(images):
        frames.append(len(images))
        return pyramid(images)

    monkeypatch.setattr(model.spynet, "flow", counted_flow)
    monkeypatch.setattr(model.spynet, "pyramid", counted_pyramid)
    model(clip)
    assert pairs == [2 * 2 * 2, 2 * 2 * 1]
    assert sum(frames) == 2 * 4


def test_backward_features_off_the_device(clip):
    assert torch.equal(small(backward_features="cpu")(clip), small()(clip))


@pytest.mark.parametrize("where", ["device_bf16", "cpu_bf16"])
def test_backward_features_in_16_bits(where, clip):
    exact, rounded = small()(clip), small(backward_features=where)(clip)
    assert rounded.dtype == torch.float32
    assert 1e-5 < relative_rms(rounded - clip, exact - clip) < 4e-3


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 31), (64, 32)])
@pytest.mark.parametrize("scale", [1, 4])
def test_any_size(scale, size):
    enhanced = small(scale)(torch.rand(1, 2, 3, *size))
    assert enhanced.shape == (1, 2, 3, scale * size[0], scale * size[1])
    assert enhanced.isfinite().all()


def test_layouts(clip):
    """The strides of the clip make no difference."""
    expected = small()(clip)
    last = clip.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(small()(last), expected)
    wide = torch.rand(2, 8, 3, 17, 62)
    wide[:, ::2, :, :, ::2] = clip
    torch.testing.assert_close(small()(wide[:, ::2, :, :, ::2]), expected)


def test_bfloat16(clip):
    """Weights in 16 bits, or autocast: the frame itself is not rounded, only its correction is."""
    exact = small()(clip)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = small()(clip)
    with torch.inference_mode():
        copied, _ = prepare_inference(small(), device=torch.device("cpu"), precision="bf16")
        results = (under_autocast, copied(clip))
    for result in results:
        assert result.dtype == torch.float32
        assert relative_rms(result - clip, exact - clip) < 0.1


@pytest.mark.parametrize("scale", [1, 4])
def test_gradients(scale):
    """They reach every weight, and are those of float64."""
    clip = torch.rand(1, 3, 3, 17, 32)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        model = small(scale).to(dtype)
        inputs = clip.to(dtype).requires_grad_()
        model(inputs).square().mean().backward()
        gradients.append([inputs.grad, *(p.grad for p in model.parameters())])
    for exact, gradient in zip(*gradients, strict=True):
        assert exact.any()
        assert_same_direction(gradient, exact)


def test_spec():
    spec = spec_of(create_model("basicvsr", width=4, blocks=3))
    assert (spec.planes, spec.recurrent, spec.temporal_radius) == ("rgb", True, 0)
    assert spec.receptive_field == 2 * (7 + 2 + 1166) + 1


def test_overfits_a_compressed_clip(tmp_path):
    """12 steps on two small frames of an H.264 clip at QP 40 gain more than half a decibel."""
    original, compressed = compressed_clip(tmp_path / "clip.mp4", frames=2, size=16)
    torch.manual_seed(0)
    model = create_model("basicvsr", scale=1, width=16, blocks=2)
    before = psnr(model(compressed), original)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(12):
        optimiser.zero_grad()
        functional.mse_loss(model(compressed), original).backward()
        optimiser.step()
    assert psnr(model(compressed), original) > before + 0.5


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 2, 1, 8, 8), (1, 0, 3, 8, 8)])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"clip must be \(B, T, 3, H, W\) and not empty, got \("):
        small()(torch.rand(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 2}, "scale must be 1 or 4, got 2"),
        ({"width": 0}, "width must be a whole number of at least 1, got 0"),
        ({"blocks": -1}, "blocks must be a whole number of at least 1, got -1"),
        ({"flow_pairs": 0}, "flow_pairs must be a whole number of at least 1, got 0"),
        (
            {"backward_features": "disk"},
            "backward_features must be one of device, device_bf16, cpu, cpu_bf16; got 'disk'",
        ),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("basicvsr", **options)
