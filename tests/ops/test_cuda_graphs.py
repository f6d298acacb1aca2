"""Operators in CUDA graphs: nothing between the call and its gradient may wait for the GPU."""

import ast
from functools import partial
from pathlib import Path

import pytest
import torch

import vqe_fast
from support.modes import OPERATORS, backward, leaves_of, seeded
from vqe_fast import ops

READ = {"item", "tolist", "cpu", "numpy", "nonzero", "synchronize", "masked_select", "unique"}
SEND = {"tensor", "as_tensor", "new_tensor"}
"""Functions that read what a GPU has computed, and that send it numbers: both wait for it."""
ALLOWED = {
    ("ops/_autograd.py", "scaled"),  # of tensors on the CPU
    ("ops/modulation.py", "_positions"),  # of QPs that can be waited for; none during capture
}


def calls_that_wait(path):
    """The functions of a file that call one of these."""
    tree = ast.parse(path.read_text("utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Attribute) and called.attr in READ | SEND:
                    yield function.name


def test_nothing_waits():
    """``FakeTensorMode`` in the table of modes finds it around the kernels, this in launchers."""
    root = Path(vqe_fast.__file__).parent
    files = [*root.glob("ops/*.py"), *root.glob("kernels/*.py")]
    found = {
        (path.relative_to(root).as_posix(), name)
        for path in files
        for name in calls_that_wait(path)
    }
    assert found == ALLOWED


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("operator", OPERATORS)
def test_captured_on_cuda(operator):
    """Replayed with other values, a graph of value and gradient gives theirs."""
    call, shapes = OPERATORS[operator]
    function = partial(call, ops)
    tensors = [tensor.float().cuda() for tensor in seeded(*shapes)]
    leaves = leaves_of(tensors)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):  # compiles kernels
            backward(function, tensors)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = function(*leaves)
        gradients = torch.autograd.grad(value.square().sum(), leaves)
    others = [1 - tensor for tensor in tensors]
    with torch.no_grad():
        for leaf, other in zip(leaves, others, strict=True):
            leaf.copy_(other)
    graph.replay()
    torch.testing.assert_close(value.detach(), function(*others))
    torch.testing.assert_close(gradients, backward(function, others))
