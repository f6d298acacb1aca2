"""Modes in which an operator becomes a part of a graph."""

import io
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch._dynamo import compiled_autograd
from torch.fx.experimental.proxy_tensor import make_fx

from support.modes import backward, compiled, leaves_of, squared


def value(function, tensors):
    return function(*tensors)


def wider(tensors, times):
    """Frames, maps or tables so many times as wide, or so many times as many."""
    dim = 0 if tensors[-1].dim() == 2 else -1
    return tuple(torch.cat([tensor] * times, dim) for tensor in tensors)


def compiled_before(function, tensors, **options):
    """Value and gradient, for the tensors that are there."""
    graph = compiled(function, **options)
    backward(graph, tensors)
    return graph


def compiled_for_any_size(function, tensors):
    return compiled_before(function, tensors, dynamic=True)


def two_more_sizes(function, tensors):
    """The second and the third size take the graph of the first."""
    with torch.compiler.set_stance("fail_on_recompile"):
        return [backward(function, wider(tensors, times)) for times in (2, 3)]


class Module(torch.nn.Module):
    """A function, for ``torch.export``."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *tensors):
        return self.function(*tensors)


def exported(function, tensors, **options):
    """Written as ``torch.export`` does, and read again."""
    file = io.BytesIO()
    torch.export.save(torch.export.export(Module(function), tensors, **options), file)
    file.seek(0)
    return torch.export.load(file).module()


def exported_for_any_size(function, tensors):
    any_size = tuple({dim: torch.export.Dim.AUTO for dim in range(t.dim())} for t in tensors)
    return exported(function, tensors, dynamic_shapes={"tensors": any_size})


def another_size(function, tensors):
    return function(*wider(tensors, 2))


def traced(function, tensors):
    """Written as ``torch.jit.trace`` does, and read again."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(lambda *tensors: function(*tensors), tensors), file)
    file.seek(0)
    return torch.jit.load(file)


def step_of_fx(function, tensors):
    """Value and gradient as one graph of any size."""

    def step(*tensors):
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        return torch.autograd.grad(squared(function)(*leaves), leaves)

    return make_fx(step, tracing_mode="symbolic")(*leaves_of(tensors))


def with_compiled_autograd(function, tensors):
    torch.compiler.reset()
    with compiled_autograd._enable(torch.compile(fullgraph=True, backend="aot_eager")):
        return backward(function, tensors)


class Graph(NamedTuple):
    """How a graph is made of a function and tensors, how it is called, and what that gives."""

    make: Callable
    call: Callable
    expected: Callable


GRAPHS = {
    "torch.compile": Graph(compiled_before, backward, backward),
    "torch.compile, dynamic shapes": Graph(compiled_for_any_size, two_more_sizes, two_more_sizes),
    "compiled autograd": Graph(lambda f, t: f, with_compiled_autograd, backward),
    "torch.export": Graph(exported, value, value),
    "torch.export, dynamic shapes": Graph(exported_for_any_size, another_size, another_size),
    "torch.jit.trace": Graph(traced, value, value),
    "make_fx": Graph(step_of_fx, value, backward),
}
