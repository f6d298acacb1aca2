"""Modes of tensors that are not plain ones, and contexts around a call."""

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

from support.modes import backward


class Own(torch.Tensor):
    """What users derive from ``torch.Tensor``."""


def plain(tensor):
    assert type(tensor) is Own
    return tensor.as_subclass(torch.Tensor)


def of_subclass(function, tensors):
    return [plain(each) for each in backward(function, [t.as_subclass(Own) for t in tensors])]


def of_wrappers(function, tensors):
    """Tensors of two others each, whose ``__torch_dispatch__`` calls an operator for both."""
    pairs = [TwoTensor(tensor, tensor.flip(-1)) for tensor in tensors]
    return [(gradient.a, gradient.b) for gradient in backward(function, pairs)]


def of_both(function, tensors):
    flipped = [tensor.flip(-1) for tensor in tensors]
    return list(zip(backward(function, tensors), backward(function, flipped), strict=True))


def of_fakes(function, tensors):
    """Tensors without values, at which nothing may look: the shapes of the gradients."""
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(tensor) for tensor in tensors]
        return [tuple(gradient.shape) for gradient in backward(function, fakes)]


def shapes_of(function, tensors):
    return [tuple(tensor.shape) for tensor in tensors]


def of_parameters(function, tensors):
    return backward(function, [torch.nn.Parameter(tensor) for tensor in tensors])


def inferred(function, tensors):
    with torch.inference_mode():
        return function(*tensors).clone()


def under_autocast(function, tensors):
    with torch.autocast("cpu", torch.bfloat16):
        return function(*(tensor.float() for tensor in tensors)).double()


def value(function, tensors):
    return function(*tensors)


TENSORS = {
    "Parameter": (of_parameters, backward),
    "a subclass": (of_subclass, backward),
    "a wrapper subclass": (of_wrappers, of_both),
    "FakeTensorMode": (of_fakes, shapes_of),
    "inference_mode": (inferred, value),
    "autocast": (under_autocast, value),
}
"""Mode → ((function, tensors) → its results, those of plain PyTorch without it)."""
