from fractions import Fraction

import numpy as np
import pytest

from support.clips import moving_texture
from vqe_fast.training import cache
from vqe_fast.training.clips import Clip
from vqe_fast.training.degradation import Degradation

SETTING = Degradation("libx264", "qp", 40)


def test_encodes_once(tmp_path, monkeypatch):
    """A second run takes the bitstream from the folder; a changed clip does not."""
    clip = Clip("a", moving_texture(frames=3), Fraction(25))
    first = cache.load_degraded(clip, [SETTING], tmp_path)
    calls = []
    encode = cache.encode
    monkeypatch.setattr(cache, "encode", lambda *args: calls.append(args) or encode(*args))
    again = cache.load_degraded(clip, [SETTING], tmp_path)
    assert not calls
    assert np.array_equal(first.compressed["x264 QP 40"], again.compressed["x264 QP 40"])
    other = Clip("a", moving_texture(frames=3, step=5), Fraction(25))
    cache.load_degraded(other, [SETTING], tmp_path)
    assert len(calls) == 1


def test_a_damaged_cache_is_named(tmp_path):
    """A file of another length would shift every pair of frames."""
    clip = Clip("a", moving_texture(frames=3), Fraction(25))
    cache.load_degraded(clip, [SETTING], tmp_path)
    (path,) = tmp_path.glob("*.mkv")
    path.write_bytes(cache.encode(clip.frames[:2], SETTING, clip.rate))
    with pytest.raises(ValueError, match=r"a-.*\.mkv decodes to \(2, 64, 96\).*delete that file"):
        cache.load_degraded(clip, [SETTING], tmp_path)
