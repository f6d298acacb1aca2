"""pyiqa's measures, with something in its place: it and its weights are seldom there."""

import sys
import types

import numpy as np
import pytest
import torch

from vqe_fast.metrics.perceptual import Perceptual

CPU = torch.device("cpu")


@pytest.fixture
def pyiqa(monkeypatch):
    def create_metric(name, device):
        def metric(image, reference=None):
            if name == "fid":
                return 12.5
            assert image.shape == (1, 3, 4, 6) and image.max() <= 1
            return (image - (0 if reference is None else reference)).abs().mean()

        if name == "dists":
            raise OSError("no route to host\nand more")
        return metric

    module = types.ModuleType("pyiqa")
    module.create_metric, module.__version__ = create_metric, "9.9"
    monkeypatch.setitem(sys.modules, "pyiqa", module)


def test_measures(pyiqa, tmp_path):
    image, original = np.full((3, 4, 6), 255, np.uint8), np.zeros((3, 4, 6), np.uint8)
    measures = Perceptual(["niqe", "lpips", "fid", "lpips"], CPU)
    assert (measures.names, measures.version) == (("niqe", "lpips", "fid"), "9.9")
    assert measures.of_frame(original, image) == {"niqe": 0.0, "lpips": 1.0}
    assert measures.of_clips and measures.of_folders(tmp_path, tmp_path) == {"fid": 12.5}


def test_none_asked_for():
    """Then pyiqa need not be there."""
    measures = Perceptual([], CPU)
    assert not measures.of_clips and measures.of_frame(np.zeros(1), np.zeros(1)) == {}


def test_without_weights(pyiqa):
    with pytest.raises(ValueError, match=r"cannot load dists.*\(no route to host\): run pyiqa"):
        Perceptual(["dists"], CPU)


def test_without_pyiqa(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ValueError, match=r"lpips needs the package pyiqa: pip install pyiqa"):
        Perceptual(["lpips"], CPU)


def test_unknown_measures():
    with pytest.raises(ValueError, match="no measure vmaf: choose among lpips, dists"):
        Perceptual(["vmaf"], CPU)
