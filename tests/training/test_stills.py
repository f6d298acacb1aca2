import numpy as np
import pytest

from support.clips import smooth_noise, write_png
from vqe_fast.training.color import luma_of
from vqe_fast.training.stills import CameraMove, move_over_still


@pytest.fixture
def still(tmp_path):
    path = tmp_path / "still.png"
    write_png(path, np.repeat(smooth_noise(200, 260)[..., None], 3, axis=2))
    return path


def test_a_still_becomes_a_moving_clip(still):
    """The same seed gives the same clip, another seed another, and the picture moves."""
    move = CameraMove(frames=4, size=(96, 64))
    first, again, other = (move_over_still(still, move, seed) for seed in (1, 1, 2))
    luma = [np.stack([luma_of(f) for f in clip.frames]) for clip in (first, again, other)]
    assert luma[0].shape == (4, 64, 96)
    assert np.array_equal(luma[0], luma[1])
    assert not np.array_equal(luma[0], luma[2])
    assert all(np.any(a != b) for a, b in zip(luma[0][:-1], luma[0][1:], strict=True))


def test_a_still_smaller_than_the_window(tmp_path):
    """Reflected at its border rather than padded with black."""
    path = tmp_path / "small.png"
    write_png(path, np.full((40, 30, 3), 200, np.uint8))
    clip = move_over_still(path, CameraMove(frames=2, size=(96, 64)), 0)
    luma = luma_of(next(iter(clip.frames)))
    assert luma.max() - luma.min() <= 2


def test_odd_sides():
    with pytest.raises(ValueError, match="even sides, got 6 of 97x64"):
        CameraMove(size=(97, 64))
