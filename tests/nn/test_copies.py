"""Every module copied, pickled and saved: the twin gives the same, to the bit."""

import copy
import io
import pickle

import pytest
import torch

from vqe_fast import nn
from vqe_fast.models.alexnet import AlexNet
from vqe_fast.nn.lpips import ALEXNET_TAPS

IMAGES = ((1, 3, 40, 36),) * 2
FEATURES = (2, 6, 5, 7)


def lpips():
    heads = [torch.ones(channels) for channels in (64, 192, 384, 256, 256)]
    return nn.LPIPS(AlexNet(), heads, ALEXNET_TAPS)


MODULES = {
    "LPIPS": (lpips, IMAGES),
    "MS_SSIM": (lambda: nn.MS_SSIM(1.0, win_size=3, channel=3), IMAGES),
    "SSIM": (lambda: nn.SSIM(1.0, win_size=3, channel=3), IMAGES),
    "AdaptiveSpatialTemporalFusion": (
        lambda: nn.AdaptiveSpatialTemporalFusion(2, 0.5),
        ((1, 3, 3, 9, 8),) * 2,
    ),
    "CharbonnierLoss": (lambda: nn.CharbonnierLoss(reduction="sum"), IMAGES),
    "CrossFrameAttention": (lambda: nn.CrossFrameAttention(6, 4), (FEATURES, (2, 6, 4, 3))),
    "FeatureLoss": (lambda: nn.FeatureLoss(AlexNet(), {"relu1": 0.5}), IMAGES),
    "MSSSIMLoss": (lambda: nn.MSSSIMLoss(window_size=3), IMAGES),
    "QPModulatedConv2d": (lambda: nn.QPModulatedConv2d(6, 2, 3), (FEATURES, (1, 6))),
    "QPModulation": (lambda: nn.QPModulation(2, 6, qps=(0, 1)), (FEATURES, ())),
    "SSIMLoss": (lambda: nn.SSIMLoss(window="uniform"), IMAGES),
    "SSIMMSELoss": (lambda: nn.SSIMMSELoss(alpha=0.3), IMAGES),
    "TradeOffLoss": (lambda: nn.TradeOffLoss(lpips()), IMAGES),
    "UnsharpMask": (lambda: nn.UnsharpMask(0.5, 5, 1.1), IMAGES[:1]),
}
"""Name → (makes one, the shapes of what it takes)."""


def saved(what, weights_only):
    """Written as ``torch.save`` does, and read again."""
    file = io.BytesIO()
    torch.save(what, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only)


def with_state(module, build):
    """Another one, with the weights."""
    twin = build()
    twin.load_state_dict(saved(module.state_dict(), True))
    return twin


WAYS = {
    "copy": lambda module, build: copy.copy(module),
    "deepcopy": lambda module, build: copy.deepcopy(module),
    "pickle": lambda module, build: pickle.loads(pickle.dumps(module)),
    "torch.save": lambda module, build: saved(module, False),
    "state_dict": with_state,
}


def test_none_is_left_out():
    classes = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert set(MODULES) == {n for n in classes if issubclass(getattr(nn, n), torch.nn.Module)}


@pytest.mark.parametrize("name", MODULES)
def test_twins(name):
    torch.manual_seed(0)
    build, shapes = MODULES[name]
    module, tensors = build().eval(), [torch.rand(shape) for shape in shapes]
    with torch.no_grad():
        expected = module(*tensors)  # what it keeps from now on is its own
        for way in WAYS.values():
            twin = way(module, build).eval()
            assert repr(twin) == repr(module)
            assert torch.equal(twin(*tensors), expected)
