import pytest
import torch
from torch.nn import functional as F

from vqe_fast.models.alexnet import AlexNet
from vqe_fast.models.vgg import VGG
from vqe_fast.weights import WeightsError
from vqe_fast.weights.trunks import trunk_features

# Where torchvision has the convolutions of its ``features``.
CONVOLUTIONS = {
    16: [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    19: [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
}


@pytest.mark.parametrize(("depth", "parameters"), [(16, 14_714_688), (19, 20_024_384)])
def test_layers_are_torchvisions(depth, parameters):
    trunk = VGG(depth)
    keys = [f"features.{i}.{kind}" for i in CONVOLUTIONS[depth] for kind in ("weight", "bias")]
    assert list(trunk.state_dict()) == keys
    assert sum(p.numel() for p in trunk.parameters()) == parameters


def test_alexnet_is_torchvisions():
    trunk = AlexNet()
    keys = [f"features.{i}.{kind}" for i in (0, 3, 6, 8, 10) for kind in ("weight", "bias")]
    assert list(trunk.state_dict()) == keys
    assert sum(p.numel() for p in trunk.parameters()) == 2_469_696
    found = trunk(torch.rand(1, 3, 64, 63), [f"relu{n}" for n in range(1, 6)])
    shapes = [(64, 15, 15), (192, 7, 7), (384, 3, 3), (256, 3, 3), (256, 3, 3)]
    assert [tuple(features.shape[1:]) for features in found] == shapes
    assert all((features >= 0).all() for features in found)


@torch.no_grad()
def test_taps():
    """By name and by index, with and without ReLU, in the order asked for; none spoils another."""
    trunk, images = VGG(16), torch.rand(2, 3, 19, 22)
    deep, conv, relu, index = trunk(images, ("relu2_1", "conv1_2", "relu1_2", 0))
    first = trunk.features[0](images)
    torch.testing.assert_close(index, first)
    expected = trunk.features[2](F.relu(first))
    torch.testing.assert_close(conv, expected)
    torch.testing.assert_close(relu, F.relu(expected))
    assert deep.shape == (2, 128, 9, 11)


@pytest.mark.parametrize("tap", ("relu3_4", "pool1", 31, -1))
def test_unknown_taps(tap):
    with pytest.raises(ValueError, match=f"there is no layer {tap!r}; there are 0 to 30 and conv1"):
        VGG(16)(torch.rand(1, 3, 16, 16), [tap])


def test_unknown_depth():
    with pytest.raises(ValueError, match="depth must be 16 or 19, got 13"):
        VGG(13)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(url, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


def test_trunk_from_a_file(tmp_path, monkeypatch, no_network):
    """A path, or the environment's; the classifier's own layers are left out."""
    trunk = VGG(19)
    state = trunk.state_dict() | {"classifier.0.weight": torch.zeros(3)}
    torch.save(state, tmp_path / "vgg19.pth")
    monkeypatch.setenv("VQE_FAST_VGG19", str(tmp_path / "vgg19.pth"))
    for path in (tmp_path / "vgg19.pth", None):
        loaded = VGG(19)
        loaded.load_state_dict(trunk_features("vgg19", path))
        assert torch.equal(loaded.features[34].weight, trunk.features[34].weight)


def test_trunk_without_file_and_network(monkeypatch, no_network, tmp_path):
    """Who reads the error knows what to get and where to put it."""
    monkeypatch.delenv("VQE_FAST_VGG19", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError, match=r"vgg19-dcbb9e9d\.pth .*put it at .*VQE_FAST_VGG19"):
        trunk_features("vgg19")


def test_wrong_trunk_files(tmp_path):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"not weights")
    other = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(1)}, other)
    sheet = tmp_path / "list.pth"
    torch.save([torch.zeros(1)], sheet)
    for path, message in (
        (sheet, "holds no weights by name"),
        (tmp_path / "none.pth", "there is no weights file"),
        (broken, "not a readable PyTorch file"),
        (other, "holds no weights named features"),
    ):
        with pytest.raises(WeightsError, match=message):
            trunk_features("vgg16", path)
    with pytest.raises(ValueError, match="name must be one of vgg16, vgg19, alexnet; got 'vgg11'"):
        trunk_features("vgg11")
