import numpy as np
import pytest

from support.clips import moving_texture
from support.pairs import luma_frames
from vqe_fast.data.blur import blur
from vqe_fast.data.color import luma_of, rgb_of
from vqe_fast.video.frames.color import ColorFacts


@pytest.mark.parametrize("count", [7, 13])
def test_mean_in_linear_light(count):
    """Eq. 6 of Han et al. with a response of 1/2.2, against the formula in float64."""
    frames = moving_texture(frames=2 * count + 3)
    blurred = list(blur(frames, count))
    assert len(blurred) == 2
    color = ColorFacts.of(frames[0])
    for index, frame in enumerate(blurred):
        group = np.stack([rgb_of(f, color) for f in frames[index * count :][:count]]) / 255
        expected = 255 * np.mean(group**2.2, axis=0) ** (1 / 2.2)
        assert np.abs(rgb_of(frame, color) - expected).max() <= 3  # through Y'CbCr


def test_light_is_averaged_not_code_values():
    """Black and white in turn look brighter than the grey halfway between their codes."""
    frames = luma_frames([np.full((16, 16), value) for value in [16, 235] * 3 + [16]])
    (frame,) = blur(frames, 7)
    linear = 16 + 219 * (3 / 7) ** (1 / 2.2)
    assert abs(luma_of(frame).mean() - linear) < 1.5
    assert abs(luma_of(frame).mean() - (16 + 219 * 3 / 7)) > 40


def test_a_still_scene_stays_sharp():
    texture = luma_of(*moving_texture(frames=1)) // 2 + 60  # within limited range
    frames = luma_frames([texture] * 7)
    (frame,) = blur(frames, 7)
    assert np.abs(luma_of(frame).astype(int) - luma_of(frames[0])).max() <= 1
