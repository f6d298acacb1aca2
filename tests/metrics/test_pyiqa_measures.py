"""pyiqa's measures, with something in its place: it and its weights are seldom there."""

import sys
import types
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from vqe_fast.metrics.measure import ClipFacts, Shown
from vqe_fast.metrics.measures import find_measures

CPU = torch.device("cpu")


@pytest.fixture
def pyiqa(monkeypatch):
    """Of which FID counts the pictures, and DISTS cannot be had where it says so."""

    def create_metric(name, device):
        def metric(image, reference):
            if name == "fid":
                return sum(len(list(Path(folder).iterdir())) for folder in (image, reference))
            assert image.shape == (1, 3, 4, 6) and image.max() <= 1
            return (image - reference).abs().mean()

        if name in module.missing:
            raise OSError("no route to host\nand more")
        return metric

    module = types.ModuleType("pyiqa")
    module.create_metric, module.__version__, module.missing = create_metric, "9.9", ()
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    return module


def test_measures(pyiqa, tmp_path):
    frame, original = np.full((3, 4, 6), 255, np.uint8), np.zeros((3, 4, 6), np.uint8)
    facts = ClipFacts(6, 4, Fraction(25), tmp_path)
    for name, frames, clip in (("dists", [1.0, 0.0], {}), ("fid", None, {"fid": 4.0})):
        (measure,) = find_measures([name], CPU)
        assert measure.identity() == {name: {"pyiqa": "9.9", "device": "cpu"}}
        with measure.of_clip(facts) as meter:
            for each in (frame, original):
                meter.add(Shown([], each), Shown([], original))
            found = meter.found()
        assert (found.frames.get(name), found.clip) == (frames, clip)
    assert not list(tmp_path.iterdir())


def test_without_weights(pyiqa):
    pyiqa.missing = ("dists",)
    with pytest.raises(ValueError, match=r"cannot load dists.*\(no route to host\): run pyiqa"):
        find_measures(["dists"], CPU)


def test_without_pyiqa(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ValueError, match=r"fid needs the package pyiqa: pip install pyiqa, with"):
        find_measures(["fid"], CPU)
