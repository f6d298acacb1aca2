import functools
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from support.modules import LUMA_SPEC, Pointwise
from vqe_fast.models import create_model
from vqe_fast.models.model_hash import model_hash


class Activated(nn.Module):
    def __init__(self, activation, scale=1.0):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3)
        self.activation, self.scale = activation, scale
        self.register_buffer("offset", torch.zeros(1), persistent=False)
        nn.init.ones_(self.layer.weight), nn.init.zeros_(self.layer.bias)

    def forward(self, frames):
        return self.activation(self.layer(frames)) * self.scale + self.offset


class Doubled(Activated):
    def forward(self, frames):
        return 2 * super().forward(frames)


def shifted(amount):
    return lambda values: values + amount


def with_buffer(value):
    model = Activated(torch.relu)
    model.offset += value
    return model


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: Activated(nn.Sigmoid()), lambda: Activated(nn.Identity())),
        (lambda: Activated(torch.relu), lambda: Activated(torch.tanh)),
        (lambda: Activated(torch.relu, 1.0), lambda: Activated(torch.relu, 2.0)),
        (lambda: Activated(torch.relu), lambda: Doubled(torch.relu)),
        (lambda: Activated(shifted(1)), lambda: Activated(shifted(2))),
        (lambda: Activated(lambda v: v + 1), lambda: Activated(lambda v: v - 1)),
        (
            lambda: Activated(functools.partial(torch.clamp, min=0)),
            lambda: Activated(functools.partial(torch.clamp, min=1)),
        ),
        (lambda: Activated([nn.ReLU()]), lambda: Activated([nn.ELU()])),
        (lambda: with_buffer(0.0), lambda: with_buffer(1.0)),
        (lambda: Activated(torch.relu), lambda: Activated(torch.relu).double()),
        (Pointwise, lambda: Pointwise(spec=replace(LUMA_SPEC, planes="yuv"))),
        (
            lambda: create_model("pequenet", attention_downsample=1),
            lambda: create_model("pequenet", attention_downsample=4),
        ),
    ],
    ids=[
        "module",
        "function",
        "number",
        "code",
        "closure",
        "lambda",
        "partial",
        "list of modules",
        "buffer",
        "dtype",
        "spec",
        "downsampling",
    ],
)
def test_equal_weights_and_yet_another_model(one, other):
    def seeded(make):
        torch.manual_seed(0)
        return make()

    first, second = seeded(one), seeded(other)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b.to(a.dtype))
    assert model_hash(first) == model_hash(seeded(one))
    assert model_hash(first) != model_hash(second)


def test_weights():
    one, other = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)
    assert model_hash(one) != model_hash(other)
    other.load_state_dict(one.state_dict())
    assert model_hash(one) == model_hash(other)


def test_neither_use_nor_mode_changes_it():
    """What a model keeps for calls to come is no part of it."""
    torch.manual_seed(0)
    model = create_model("carcnn_small", qp_adaptive=True).eval()
    before = model_hash(model)
    with torch.no_grad():
        model(torch.rand(1, 1, 16, 16), 32.0)
    assert model_hash(model.train()) == before


def test_docstrings_do_not_count():
    def documented(text):
        space = {}
        exec(f"def forward(self, values):\n    {text!r}\n    return values + 1", space)
        return type("Net", (nn.Module,), {"forward": space["forward"]})()

    assert model_hash(documented("What it is.")) == model_hash(documented("What it was."))


def test_the_same_in_another_process():
    told = (
        "from vqe_fast.models import create_model;"
        "from vqe_fast.models.model_hash import model_hash;"
        "print(model_hash(create_model('dualres_s', pretrained=True)))"
    )
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == model_hash(create_model("dualres_s", pretrained=True))
