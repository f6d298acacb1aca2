import av
import numpy as np
import pytest

from support.clips import smooth_noise
from support.footage import COLLECTION, needs_collection, packaged_clip
from vqe_fast.video.frames.planes import luma_view
from vqe_fast.video.frames.scene_cuts import dissimilarity, scene_cuts

HEIGHT, WIDTH = 144, 192


def scene(seed, frames, *, contrast=1.0, level=0, step=4):
    """A texture that passes by."""
    texture = smooth_noise(HEIGHT, WIDTH + step * frames, seed)
    windows = [texture[:, i * step : i * step + WIDTH] for i in range(frames)]
    return [(w * contrast + level).clip(0, 255).astype(np.uint8) for w in windows]


DAY = {"seed": 1, "contrast": 0.5, "level": 120}
NIGHT = {"seed": 2, "contrast": 0.5}


def test_hard_cuts():
    clip = scene(**DAY, frames=8) + scene(**NIGHT, frames=7) + scene(**DAY, frames=3)
    assert list(scene_cuts(clip)) == [8, 15]


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_cuts_near_the_ends(before, after):
    clip = scene(**DAY, frames=before) + scene(**NIGHT, frames=after)
    assert list(scene_cuts(clip)) == [before]


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_is_no_cut(length):
    clip = scene(**NIGHT, frames=12)
    for index in range(5, 5 + length):
        clip[index] = np.minimum(clip[index].astype(int) + 160, 255).astype(np.uint8)
    assert dissimilarity(clip[4], clip[5]) > 0.4
    assert list(scene_cuts(clip)) == []


def test_a_fade_is_no_cut():
    """From one scene to another, and to black, within twelve frames."""
    first, second = scene(**DAY, frames=12), scene(**NIGHT, frames=12)
    weights = np.linspace(0, 1, 12)
    mixed = [
        ((1 - w) * a + w * b).astype(np.uint8)
        for w, a, b in zip(weights, first, second, strict=True)
    ]
    dark = [(frame * w).astype(np.uint8) for frame, w in zip(first, weights[::-1], strict=True)]
    assert list(scene_cuts(mixed)) == []
    assert list(scene_cuts(dark)) == []


@pytest.mark.parametrize("step", [24, 96])
def test_fast_motion_is_no_cut(step):
    """Half of the picture is new in each frame."""
    clip = scene(3, 10, step=step)
    assert list(scene_cuts(clip)) == []


def test_a_scene_of_one_frame():
    """Both of its ends are cuts, though the picture changes at its neighbour as well."""
    clip = scene(**DAY, frames=5) + scene(4, 1) + scene(**NIGHT, frames=5)
    assert list(scene_cuts(clip)) == [5, 6]


def test_a_cut_into_fast_motion():
    clip = scene(**DAY, frames=6) + scene(**NIGHT, frames=6, step=24)
    assert list(scene_cuts(clip)) == [6]


def test_threshold():
    clip = scene(**DAY, frames=5) + scene(**NIGHT, frames=5)
    assert list(scene_cuts(clip, threshold=3)) == []


def test_nothing_and_little():
    assert list(scene_cuts([])) == []
    assert list(scene_cuts(scene(1, 1))) == []
    tiny = [np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)]
    assert list(scene_cuts(tiny)) == [1]


def lumas(path):
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield luma_view(frame)


def test_real_cuts():
    """bikes.mp4 has five, as one sees in it."""
    assert list(scene_cuts(lumas(packaged_clip("bikes.mp4")))) == [30, 76, 137, 187, 242]
    assert list(scene_cuts(lumas(packaged_clip("bigbuckbunny.mp4")))) == []


@needs_collection
@pytest.mark.parametrize("part", ["train", "val"])
def test_the_collection_has_none(part):
    """25 clips of one scene each: pans, sport, traffic, changes of light."""
    for path in sorted((COLLECTION / part / "video").glob("*.mkv")):
        assert list(scene_cuts(lumas(path))) == [], path.name
