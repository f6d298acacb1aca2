import pytest
import torch

from vqe_fast.metrics import FLICKER_THRESHOLD, Flicker


def measured(images, originals):
    flicker = Flicker()
    for image, original in zip(images, originals, strict=True):
        flicker.push(image, original)
    return flicker


def test_a_pulse_over_a_still_picture():
    """Every frame is off by as much, but the change from one to the next is 4 steps."""
    originals = torch.full((4, 20, 24), 100, dtype=torch.uint8)
    images = originals + torch.tensor([0, 4, 0, 4], dtype=torch.uint8).view(4, 1, 1)
    found = measured(images, originals)
    assert (found.value, found.still_share) == (4.0, 1.0)
    assert measured(originals + 7, originals).value == 0  # wrong, but steady


def test_only_still_areas_count():
    """One half of the original moves; what goes wrong there is no flicker."""
    originals = torch.full((2, 32, 64), 50, dtype=torch.uint8)
    originals[1, :, 32:] += 100
    images = originals.clone()
    images[1, :, 40:] += 50
    found = measured(images, originals)
    assert found.value == 0
    # The window reaches four pixels over, where one column of nine moved by 100 already tells.
    assert found.still_share == pytest.approx(28 / 64)
    images[1, :, :28] += 9
    assert measured(images, originals).value == 9


def test_the_threshold():
    for step, still in ((FLICKER_THRESHOLD - 0.1, True), (FLICKER_THRESHOLD, False)):
        originals = torch.zeros(2, 16, 16)
        originals[1] = step
        assert (measured(originals, originals).value is not None) == still


def test_cuts_and_single_frames_leave_nothing():
    cut = torch.tensor([0, 200], dtype=torch.uint8).view(2, 1, 1).expand(2, 16, 16)
    assert measured(cut, cut).value is None
    assert measured(cut[:1], cut[:1]).value is None
    assert measured(cut[:1], cut[:1]).still_share == 0


def test_shapes():
    with pytest.raises(ValueError, match=r"\(H, W\), got \(4, 4\) and \(4, 5\)"):
        Flicker().push(torch.zeros(4, 4), torch.zeros(4, 5))
