import pytest
import torch

from vqe_fast import create_model
from vqe_fast.models import spec_of


def test_scales_are_the_same_network():
    """Section 3.3: the encoder-decoders are completely the same in structure."""
    sizes = [
        sum(p.numel() for p in create_model("multiscale", scales=n).parameters()) for n in (1, 2, 3)
    ]
    assert sizes == [sizes[0], 2 * sizes[0], 3 * sizes[0]]
    scale = create_model("multiscale").scales[0]
    assert [encoder.conv.out_channels for encoder in scale.encoders] == [32, 64, 128, 256]
    assert [encoder.conv.stride[0] for encoder in scale.encoders] == [1, 2, 2, 2]
    assert all(decoder.deconv.kernel_size == (4, 4) for decoder in scale.decoders)


@torch.no_grad()
@pytest.mark.parametrize("scales", (1, 2, 3))
@pytest.mark.parametrize("size", ((16, 16), (35, 50), (64, 48)), ids=str)
def test_any_size(size, scales):
    frames = torch.rand(2, 3, *size)
    pyramid = create_model("multiscale", scales=scales).eval().pyramid(frames)
    assert len(pyramid) == scales
    for level, image in enumerate(pyramid):
        assert image.shape[-2:] == tuple(-(-side // 2**level) for side in size)


@torch.no_grad()
def test_coarse_scales_have_a_say():
    """What the quarter-size network computes reaches the full-size result."""
    model = create_model("multiscale", scales=3).eval()
    frames = torch.rand(1, 3, 32, 32)
    before = model(frames)
    model.scales[2].encoders[3].conv.bias += 1
    assert not torch.allclose(model(frames), before, atol=1e-6)


@pytest.mark.parametrize("scales", (1, 2))
def test_receptive_field(scales):
    """Inputs further away than the spec says have no influence; it is not twice too wide either."""
    torch.manual_seed(0)
    model = create_model("multiscale", scales=scales)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.02, 0.01)  # no ReLU is shut, nothing cancels
    field = spec_of(model).receptive_field
    height = -(-int(1.2 * field) // 16) * 16
    frames = torch.rand(1, 3, height, 32, requires_grad=True)
    pixel = height // 2 + 3
    (gradient,) = torch.autograd.grad(model(frames)[0, 0, pixel, 19], frames)
    rows = gradient[0].sum(0).any(dim=1).nonzero().flatten()
    assert pixel - rows[0] <= field // 2 and rows[-1] - pixel <= field // 2
    assert rows[-1] - rows[0] + 1 > 0.5 * field


def test_overfits_a_frame():
    """Thirty steps on one blurred frame take more than 10 dB of its error away."""
    torch.manual_seed(0)
    clean = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4), size=(16, 16), mode="nearest")
    blurred = torch.nn.functional.avg_pool2d(clean, 5, 1, 2, count_include_pad=False)
    model = create_model("multiscale", scales=2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-4)
    for _ in range(30):
        loss = (model(blurred) - clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    before = (blurred - clean).square().mean()
    assert 10 * torch.log10(before / loss.detach()) > 10


def test_every_scale_learns():
    model = create_model("multiscale", scales=3)
    sum(image.square().mean() for image in model.pyramid(torch.rand(1, 3, 32, 32))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_wrong_arguments():
    with pytest.raises(ValueError, match="scales must be 1, 2 or 3, got 4"):
        create_model("multiscale", scales=4)
    with pytest.raises(ValueError, match=r"at least 16×16, got \(1, 3, 15, 20\)"):
        create_model("multiscale")(torch.rand(1, 3, 15, 20))
