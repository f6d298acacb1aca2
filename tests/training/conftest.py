from fractions import Fraction

import pytest

from support.clips import moving_texture
from vqe_fast.training.cache import load_degraded
from vqe_fast.training.clips import Clip
from vqe_fast.training.degradation import Degradation

SETTINGS = [Degradation("libx264", "qp", 36), Degradation("libx264", "qp", 44)]


@pytest.fixture(scope="session")
def degraded(tmp_path_factory):
    """A short clip and two compressed versions of it."""
    clip = Clip("texture", moving_texture(frames=6), Fraction(25))
    return load_degraded(clip, SETTINGS, tmp_path_factory.mktemp("cache"))
