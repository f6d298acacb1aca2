import pytest

from support.clips import moving_texture
from support.pairs import prepare_clip
from vqe_fast.data.degradation import Degradation

SETTINGS = [Degradation("libx264", "qp", 36), Degradation("libx264", "qp", 44)]


@pytest.fixture(scope="session")
def degraded(tmp_path_factory):
    """A short clip and two compressed versions of it."""
    return prepare_clip(moving_texture(frames=6), SETTINGS, tmp_path_factory.mktemp("degraded"))
