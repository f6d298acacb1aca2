import numpy as np
import pytest

from support.clips import smooth_noise, write_png
from vqe_fast.data.color import luma_of
from vqe_fast.data.stills import CameraMove, move_over_still

GOLDEN = [139, 129, 179, 130]


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


def lumas(path, seed, layers, frames=6, resting=0.0, speed=1.0):
    """Of the clip that a photograph becomes, (T, H, W)."""
    move = CameraMove(frames, (192, 128), layers=layers, resting=resting, speed=speed)
    clip = move_over_still(path, move, seed)
    return np.stack([luma_of(frame) for frame in clip.frames]).astype(int)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.png"
    write_png(path, np.stack([smooth_noise(400, 600, seed) for seed in range(3)], axis=2))
    return path


def test_one_layer_as_ever(large):
    """Caches rest on it: samples of the first version, which may be off by a rounding."""
    found = lumas(large, 7, 1)[[0, 2, 5, 5], [10, 64, 100, 127], [20, 96, 150, 191]]
    assert np.abs(found - GOLDEN).max() <= 1


def test_two_layers_are_deterministic(large):
    assert np.array_equal(lumas(large, 3, 2), lumas(large, 3, 2))
    assert not np.array_equal(lumas(large, 3, 2), lumas(large, 4, 2))


@pytest.mark.parametrize("seed", range(8))
def test_a_part_moves_before_the_rest(large, seed):
    """Beside it the clip is the one of a single layer, in every frame."""
    hidden = lumas(large, seed, 2) != lumas(large, seed, 1)
    assert (hidden.mean((1, 2)) > 0.03).all() and (hidden.mean((1, 2)) < 0.7).all()
    assert (hidden[0] != hidden[-1]).mean() > 0.005


def test_layers_move_in_their_own_ways(large):
    """A block inside the blob is found again elsewhere than the rest of the picture would be."""
    apart = []
    for seed in range(8):
        single, double = lumas(large, seed, 1), lumas(large, seed, 2)
        hidden = single[0] != double[0]
        row, column = middle_of(hidden)
        inside = motion(double, row, column)
        outside = motion(single, row, column)
        apart.append(np.hypot(*np.subtract(inside, outside)))
    assert np.median(apart) > 4


def middle_of(mask, side=24):
    """The block, by its first row and column, that a mask covers most of."""
    sums = np.pad(mask.astype(int).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    covered = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    inner = covered[20:-20, 20:-20]
    assert inner.max() > 0.95 * side**2
    row, column = np.unravel_index(inner.argmax(), inner.shape)
    return row + 20, column + 20


def motion(frames, row, column, side=24, reach=20):
    """How far a block of the first frame has gone by the fourth: rows and columns."""
    block = frames[0, row : row + side, column : column + side]
    windows = np.lib.stride_tricks.sliding_window_view(frames[3], (side, side))
    near = windows[row - reach : row + reach + 1, column - reach : column + reach + 1]
    errors = np.abs(near - block).mean((2, 3))
    assert errors.min() < 12
    found = np.unravel_index(errors.argmin(), errors.shape)
    return found[0] - reach, found[1] - reach


def test_the_edge_fades_and_keeps_to_the_colours_beside_it(tmp_path):
    """Between two greys there is nothing but greys between them, and some of these at the edge."""
    path = tmp_path / "halves.png"
    picture = np.full((400, 600, 3), 60, np.uint8)
    picture[:, 300:] = 200
    write_png(path, picture)
    dark, light = 16 + 60 * 219 / 255, 16 + 200 * 219 / 255
    between = []
    for seed in range(8):
        single, double = lumas(path, seed, 1), lumas(path, seed, 2)
        # Bicubic sampling overshoots by a tenth of the step in the picture itself.
        assert double.min() > dark - 18 and double.max() < light + 18
        counts = [((each > dark + 20) & (each < light - 20)).sum() for each in (single, double)]
        between.append(counts[1] - counts[0])
    assert max(between) > 300


def test_another_number_of_layers():
    with pytest.raises(ValueError, match="1 or 2 layers, got 3"):
        CameraMove(layers=3)


def test_the_camera_rests_over_a_share(large):
    """By the seed; what moves before the rest moves on; the first frame is as without."""
    still = [(np.ptp(lumas(large, seed, 1, 3, 0.5), 0) == 0).all() for seed in range(12)]
    assert 2 <= sum(still) <= 10
    resting, moving = lumas(large, 5, 2, resting=1.0), lumas(large, 5, 2)
    assert np.array_equal(resting[0], moving[0])
    rests = np.ptp(resting, 0) == 0
    assert 0.2 < rests.mean() < 0.97


def test_a_share_that_is_none():
    with pytest.raises(ValueError, match="share that rests must be in 0 to 1"):
        CameraMove(resting=1.5)


@pytest.mark.parametrize("layers", (1, 2))
def test_a_slower_camera(large, layers):
    """At half the speed every second frame is one of those at full speed."""
    slow = lumas(large, 5, layers, 5, speed=0.5)
    full = lumas(large, 5, layers, 3)
    assert np.abs(slow[::2] - full).max() <= 2 and np.ptp(full, 0).max() > 20


@pytest.mark.parametrize("speed", (0.0, -1.0, float("nan"), float("inf")))
def test_a_speed_that_is_none(speed):
    with pytest.raises(ValueError, match="speed must be a positive number"):
        CameraMove(speed=speed)
