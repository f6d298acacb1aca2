"""Contexts that choose a backend, however they are opened and closed."""

import itertools
import threading
from contextlib import ExitStack

import pytest
import torch

import vqe_fast
from vqe_fast import ops
from vqe_fast.ops._backend import kernel_problem


def forced():
    """What the operators go by."""
    problem = kernel_problem("charbonnier", "cpu")
    return "reference" if problem == "backend 'reference' is asked for" else "auto"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_closed_in_any_order(order):
    """The one opened last holds among those that are open, and nothing stays behind."""
    names = ("reference", "auto", "reference")
    contexts = [vqe_fast.backend(name) for name in names]
    for context, name in zip(contexts, names, strict=True):
        context.__enter__()
        assert forced() == name
    still_open = list(range(3))
    for closed in order:
        contexts[closed].__exit__(None, None, None)
        still_open.remove(closed)
        assert forced() == (names[still_open[-1]] if still_open else "auto")


def test_threads_overlap():
    """A thread that opens while another's is open and closes after it."""
    opened, may_close = threading.Event(), threading.Event()
    seen = []

    def other():
        with vqe_fast.backend("reference"):
            opened.set()
            assert may_close.wait(60)
            seen.append(forced())

    with vqe_fast.backend("auto"):
        thread = threading.Thread(target=other)
        thread.start()
        assert opened.wait(60) and forced() == "reference"
    assert forced() == "reference"
    may_close.set()
    thread.join()
    assert seen == ["reference"] and forced() == "auto"


def test_many_threads():
    def work():
        for name in ("reference", "auto") * 500:
            with vqe_fast.backend(name), vqe_fast.backend("reference"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert forced() == "auto"


def test_error_inside():
    with pytest.raises(KeyError), vqe_fast.backend("reference"):
        raise KeyError
    assert forced() == "auto"


def test_inside_a_graph():
    """Also within another that is open, and without a break."""
    x, y = torch.rand(2, 1, 1, 8, 8)

    def loss(x, y):
        with vqe_fast.backend("reference"):
            first = ops.charbonnier_loss(x, y)
        return first, ops.charbonnier_loss(x, y)

    for name in ("auto", "reference"):
        with ExitStack() as stack:
            stack.enter_context(vqe_fast.backend(name))
            torch.compiler.reset()
            graphs = []

            def keep(graph, _, graphs=graphs):
                graphs.append(str(graph.code))
                return graph

            compiled = torch.compile(loss, fullgraph=True, backend=keep)
            torch.testing.assert_close(compiled(x, y), loss(x, y))
            assert forced() == name
        (code,) = graphs
        assert code.count("vqe_fast.charbonnier_loss") == (1 if name == "auto" else 0)
