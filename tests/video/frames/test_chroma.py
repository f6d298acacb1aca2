"""Chroma to the resolution of luma and back: where its samples lie, at any size."""

import itertools

import pytest
import torch

from vqe_fast.video.frames.chroma import Siting, enlarge, shrink

LEFT = Siting.named("left")
SITINGS = {
    "left": (0, 0.5),
    "unspecified": (0, 0.5),
    "center": (0.5, 0.5),
    "topleft": (0, 0),
    "top": (0.5, 0),
    "bottomleft": (0, 1),
    "bottom": (0.5, 1),
}


@pytest.mark.parametrize("location", SITINGS)
def test_places(location):
    """A shift by half a pixel shows as colour fringes."""
    siting = Siting.named(location)
    across, down = SITINGS[location]
    assert siting == Siting(across, down)
    assert_ramp(siting, 6, -1, across)
    assert_ramp(siting, 6, -2, down)


def assert_ramp(siting, count, dim, place):
    """Chroma n lies at luma 2n + place: what is as high as it is far keeps its heights."""
    shape = [1, 1, 1, 1]
    shape[dim] = -1
    coarse = torch.arange(float(count)).view(shape)
    fine = torch.arange(2.0 * count).view(shape)
    other = [1, 1]
    other[dim] = 2 * count
    enlarged = enlarge(coarse, tuple(other), siting).flatten()
    torch.testing.assert_close(enlarged[1:-1], ((fine.flatten() - place) / 2)[1:-1])
    other[dim] = count
    shrunk = shrink(fine, tuple(other), siting).flatten()
    torch.testing.assert_close(shrunk[1:-1], (coarse.flatten() * 2 + place)[1:-1])


def test_shrinking_spreads_back_what_enlarging_took():
    """Else a model's change of one sample would arrive elsewhere."""
    siting, size, count = Siting(0.3, 0.8), (12, 12), 6
    basis = torch.eye(count * count).view(-1, 1, count, count)
    spread = enlarge(basis, size, siting).flatten(1)
    ones = torch.eye(144).view(-1, 1, 12, 12)
    taken = shrink(ones, (count, count), siting).flatten(1)
    inner = torch.zeros(count, count, dtype=torch.bool)
    inner[1:-1, 1:-1] = True
    torch.testing.assert_close(taken.T[inner.flatten()] * 4, spread[inner.flatten()])


@pytest.mark.parametrize("location", ["left", "topleft", "center"])
def test_fields_together_are_the_frame(location):
    """Chroma that is as high as it is far down, seen in two fields, stays so."""
    siting = Siting.named(location)
    chroma = torch.arange(8.0).view(1, 1, 8, 1)
    expected = (torch.arange(16.0) - siting.down) / 2
    for parity in (0, 1):
        rows = chroma[..., parity::2, :]
        field = enlarge(rows, (8, 1), siting.of_field(parity)).flatten()
        torch.testing.assert_close(field[1:-1], expected[parity::2][1:-1])


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 5), (8, 6), (70, 51)])
@pytest.mark.parametrize("parts", [*itertools.product((1, 2, 4), repeat=2)])
def test_averages_undo_interpolation_of_what_is_even(size, parts):
    """And any size works, quarters included (4:1:1)."""
    small = tuple(-(-side // part) for side, part in zip(size, parts, strict=True))
    even = torch.full((2, 2, *small), 0.3)
    large = enlarge(even, size, LEFT)
    assert large.shape[-2:] == size
    torch.testing.assert_close(shrink(large, small, LEFT), even)
