"""How many operators a frame takes, each of them at least one launch on a GPU."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vqe_fast import create_model


class Launches(TorchDispatchMode):
    """Counts operators that compute; views and what is told of dtypes launch nothing."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and not func.is_view and "empty" not in str(func):
            self.names.append(func.name())
        return result


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "options", "told", "channels", "most"),
    [
        ("carcnn", {}, (), 1, 86),
        ("carcnn_small", {}, (), 1, 54),
        ("carcnn_small", {"qp_adaptive": True}, (30.0,), 1, 54),
        ("dualres_s", {}, (30.0, 1, 2), 3, 43),
        ("dualres_s", {}, (torch.full((1, 4, 4), 30, dtype=torch.uint8), 1, 2), 3, 53),
    ],
    ids=["carcnn", "carcnn_small", "carcnn_small with QP", "dualres_s", "dualres_s with a map"],
)
def test_a_frame_like_one_before(name, options, told, channels, most):
    """Gains, folded weights and transforms are not made again: the QP costs nothing."""
    model = create_model(name, **options).eval()
    frames = torch.rand(1, channels, 32, 32)
    model(frames, *told)
    with Launches() as launches:
        model(frames, *told)
    assert len(launches.names) <= most, sorted(launches.names)
