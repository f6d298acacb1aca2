"""Modulated deformable convolution against its definition, sample by sample."""

import math

import pytest
import torch

from vqe_fast.models.deformable import DeformableConv2d

BIG = 40.0  # before a sigmoid: a weight of 1


def moves_of(offsets, weights):
    """(B, taps, H, W) from (B, G, 9, 2, H, W) and (B, G, 9, H, W)."""
    return torch.cat((offsets.flatten(1, 3), weights.flatten(1, 2)), dim=1)


def built(channels=4, groups=2):
    torch.manual_seed(0)
    return DeformableConv2d(channels, groups).double()


def sample(plane, y, x):
    """Bilinear, zeros around."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                share = (1 - abs(y - row)) * (1 - abs(x - column))
                total += share * plane[row, column].item()
    return total


@torch.no_grad()
def test_values():
    """Offsets of up to three pixels, past the border too."""
    conv, (height, width) = built(), (4, 5)
    features = torch.randn(1, 4, height, width, dtype=torch.float64)
    offsets = 3 * torch.randn(1, 2, 9, 2, height, width, dtype=torch.float64)
    weights = torch.randn(1, 2, 9, height, width, dtype=torch.float64)
    found = conv(features, moves_of(offsets, weights))
    for y, x in ((0, 0), (2, 3), (3, 4)):
        taps = torch.zeros(4, 9, dtype=torch.float64)
        for channel in range(4):
            group = channel // 2
            for tap in range(9):
                down, right = offsets[0, group, tap, :, y, x].tolist()
                place = y + tap // 3 - 1 + down, x + tap % 3 - 1 + right
                share = weights[0, group, tap, y, x].sigmoid().item()
                taps[channel, tap] = share * sample(features[0, channel], *place)
        expected = (conv.conv.weight.flatten(2) * taps).sum((1, 2)) + conv.conv.bias
        torch.testing.assert_close(found[0, :, y, x], expected)


@torch.no_grad()
def test_nothing_moves():
    """Then it is a convolution."""
    conv = built()
    features = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    weights = torch.full((2, 2, 9, 6, 7), BIG, dtype=torch.float64)
    moves = moves_of(torch.zeros(2, 2, 9, 2, 6, 7, dtype=torch.float64), weights)
    torch.testing.assert_close(conv(features, moves), conv.conv(features))


def test_gradients():
    """Of features and of what moves them."""
    conv = built(2, 1)
    features = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    moves = torch.randn(1, conv.taps, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(conv, (features, moves))


def test_groups_that_do_not_fit():
    with pytest.raises(ValueError, match="groups must divide the 4 channels, got 3"):
        DeformableConv2d(4, 3)
