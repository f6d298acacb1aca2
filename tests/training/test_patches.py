import numpy as np
import pytest
import torch

from vqe_fast.training.cache import DegradedClip
from vqe_fast.training.patches import PatchSampler


def numbered(height=20, width=30):
    """A clip whose samples tell where they are, and a "compressed" version one brighter."""
    pristine = np.arange(2 * height * width).reshape(2, height, width) % 199
    pristine = pristine.astype(np.uint8)
    return DegradedClip("numbered", pristine, {"a": pristine + 1, "b": pristine + 2})


def test_pairs_show_the_same_place_the_same_way_round():
    """A flip or turn of one patch and not of the other would teach nonsense."""
    compressed, pristine = PatchSampler([numbered()], patch=8, batch=64).draw(0, 0)
    assert compressed.shape == pristine.shape == (64, 1, 8, 8)
    difference = ((compressed - pristine) * 255).round()
    for pair in difference:
        assert pair.unique().numel() == 1 and pair[0, 0, 0].item() in {1, 2}
    assert {1.0, 2.0} == set(difference[:, 0, 0, 0].tolist())


def test_batches_depend_on_step_and_seed_alone():
    """What lets an interrupted run go on with the same batches."""
    sampler = PatchSampler([numbered()], patch=8, batch=4)
    first, _ = sampler.draw(5, 1)
    sampler.draw(6, 1)
    assert torch.equal(sampler.draw(5, 1)[0], first)
    assert not torch.equal(sampler.draw(6, 1)[0], first)
    assert not torch.equal(sampler.draw(5, 2)[0], first)


def test_every_orientation_occurs():
    _, pristine = PatchSampler([numbered()], patch=4, batch=256).draw(0, 0)
    orders = {(bool(p[0, 0, 1] > p[0, 0, 0]), bool(p[0, 1, 0] > p[0, 0, 0])) for p in pristine}
    assert orders == {(True, True), (True, False), (False, True), (False, False)}


def test_clip_smaller_than_a_patch():
    with pytest.raises(ValueError, match="numbered is 30×20, smaller than a patch of 24"):
        PatchSampler([numbered()], patch=24, batch=1)


def test_no_clips():
    with pytest.raises(ValueError, match="there is no clip"):
        PatchSampler([], patch=8, batch=1)
