import math

import pytest
import torch

from support.recurrent import plain_flow, randomised
from vqe_fast.models import SPyNet, flow_warp
from vqe_fast.models.spynet import FLOW_REACH


def sampled(plane, x, y, padding):
    """Bilinear value of a plane (H, W) at a point, one pixel after the other."""
    height, width = plane.shape
    if padding == "border":
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = math.floor(x), math.floor(y)
    value = 0.0
    for column in (left, left + 1):
        for row in (top, top + 1):
            if 0 <= column < width and 0 <= row < height:
                weight = (1 - abs(x - column)) * (1 - abs(y - row))
                value += weight * plane[row, column].item()
    return value


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_warp_against_its_definition(padding):
    torch.manual_seed(0)
    features = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    flow = 4 * torch.randn(2, 2, 7, 9, dtype=torch.float64)
    warped = flow_warp(features, flow, padding)
    for b, c, y, x in torch.cartesian_prod(*map(torch.arange, features.shape)).tolist():
        dx, dy = flow[b, :, y, x].tolist()
        expected = sampled(features[b, c], x + dx, y + dy, padding)
        assert warped[b, c, y, x].item() == pytest.approx(expected, abs=1e-12)


def test_warp_by_whole_pixels():
    """Exact where the grid's coordinates are: at sizes of a power of two and one."""
    features = torch.rand(1, 2, 17, 33)
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 17, 33)
    expected = torch.zeros_like(features)
    expected[:, :, 2:, :-3] = features[:, :, :-2, 3:]
    assert torch.equal(flow_warp(features, flow), expected)


def test_warp_in_16_bits_keeps_positions():
    """bfloat16 has no 257: coordinates computed in it would fetch a neighbour."""
    features = torch.arange(400).view(1, 1, 1, 400).expand(1, 1, 2, 400).bfloat16()
    flow = torch.zeros(1, 2, 2, 400, dtype=torch.bfloat16)
    assert torch.equal(flow_warp(features, flow), features)


def test_warp_along_a_single_pixel():
    features = torch.rand(1, 1, 1, 1)
    assert torch.equal(flow_warp(features, torch.full((1, 2, 1, 1), 5.0)), features)


def test_warp_refuses_another_size():
    with pytest.raises(ValueError, match=r"flow must be \(1, 2, 4, 5\), got \(1, 4, 5, 2\)"):
        flow_warp(torch.rand(1, 3, 4, 5), torch.zeros(1, 4, 5, 2))
    with pytest.raises(ValueError, match=r"features must be \(B, C, H, W\), got \(4, 5\)"):
        flow_warp(torch.rand(4, 5), torch.zeros(1, 2, 4, 5))


def test_spynet_has_the_published_size():
    assert sum(p.numel() for p in SPyNet().parameters()) == 1_440_300


def test_untrained_spynet_sees_no_motion():
    assert not SPyNet()(torch.rand(2, 3, 40, 33), torch.rand(2, 3, 40, 33)).any()


@pytest.mark.parametrize("size", [(64, 96), (33, 40), (16, 17), (1, 1)])
def test_flow_doubles_from_level_to_level(size):
    """Constant corrections add up to sum(c · 2^(5 − level)), and shrink with the frame's resize."""
    spynet = SPyNet()
    for level in spynet.levels:
        level.convs[-1].bias.data.copy_(torch.tensor([0.5, -0.25]))
    height, width = size
    flow = spynet(torch.rand(1, 3, *size), torch.rand(1, 3, *size))
    right = 0.5 * 63 * width / (width + -width % 32)
    down = -0.25 * 63 * height / (height + -height % 32)
    expected = torch.tensor([right, down]).view(1, 2, 1, 1).expand(1, 2, *size)
    torch.testing.assert_close(flow, expected)


@pytest.mark.parametrize("size", [(32, 64), (35, 51)])
def test_spynet_against_its_definition(size):
    spynet = randomised(SPyNet()).double()
    reference, other = torch.rand(2, 2, 3, *size, dtype=torch.float64)
    flow = spynet(reference, other)
    assert flow.std() > 0.1
    torch.testing.assert_close(flow, plain_flow(spynet, reference, other))


def test_flow_keeps_its_precision_in_16_bits():
    """Weights in bfloat16 change the corrections a little; the flow is never rounded to it."""
    spynet = randomised(SPyNet())
    reference, other = torch.rand(2, 1, 3, 64, 64)
    exact = spynet(reference, other)
    flow = spynet.bfloat16()(reference.bfloat16(), other.bfloat16())
    assert flow.dtype == torch.float32
    assert not torch.equal(flow, flow.bfloat16().float())
    assert (flow - exact).square().mean().sqrt() < 0.05 * exact.square().mean().sqrt()


def test_reach_of_the_flow():
    """Pixels further away than FLOW_REACH do not matter; of those nearer by most do."""
    spynet = randomised(SPyNet(), std=0.01)
    clip = torch.rand(2, 1, 3, 32, 2 * FLOW_REACH + 64)
    changed = clip.clone()
    changed[..., FLOW_REACH + 32] += 1
    with torch.inference_mode():
        flow = spynet(*clip)
        assert flow.abs().max() < 2
        columns = (spynet(*changed) != flow).any(dim=2).flatten(0, 1).any(dim=0).nonzero().flatten()
    assert columns[0] >= 32 and columns[-1] <= 2 * FLOW_REACH + 32
    assert columns[-1] - columns[0] > FLOW_REACH


def test_spynet_refuses_other_shapes():
    message = (
        r"reference and other must both be \(B, 3, H, W\), got \(1, 3, 8, 8\) and \(1, 3, 8, 9\)"
    )
    with pytest.raises(ValueError, match=message):
        SPyNet()(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))
