"""Which way of taking a step is chosen, where there is a GPU that may refuse one."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vqe_fast.training import graphed_step

CUDA = SimpleNamespace(type="cuda")


class Graph:
    """Of a step: counts its replays."""

    replays = 0

    def replay(self):
        type(self).replays += 1


@pytest.fixture
def gpu(monkeypatch):
    """What is asked of a GPU, with a clock that the steps move."""
    now = [0.0]
    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda stream: nullcontext(),
        "synchronize": lambda: None,
        "CUDAGraph": type("OwnGraph", (Graph,), {}),
        "graph": lambda graph: nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(graphed_step.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch, "compile", lambda function, **options: lambda x: function(x) + 0)
    return now


def refuse(*arguments, **options):
    raise RuntimeError("operation not permitted\nsecond line")


def choose(now, costs):
    """Chooses between steps that cost so much as they are, and with compiled blocks."""
    block, said = nn.ReLU(), []
    is_compiled = lambda: "forward" in vars(block)  # noqa: E731

    def step():
        now[0] += costs[is_compiled()]
        block(torch.zeros(1))

    chosen = graphed_step.fastest_step(step, [block], CUDA, said.append)
    return SimpleNamespace(step=step, chosen=chosen, said=said, compiled=is_compiled())


def test_graphs_are_taken(gpu):
    found = choose(gpu, (2.0, 1.0))
    assert found.chosen.__func__ is Graph.replay
    assert not found.compiled, "it is in the graph already"
    (said,) = found.said
    assert "eager in a CUDA graph" in said and "compiled in a CUDA graph" in said


@pytest.mark.parametrize("costs", [(2.0, 1.0), (1.0, 2.0)])
def test_where_nothing_can_be_captured(gpu, monkeypatch, costs):
    monkeypatch.setattr(torch.cuda, "graph", refuse)
    found = choose(gpu, costs)
    assert found.chosen is found.step
    assert found.compiled == (costs[1] < costs[0])
    assert "eager cannot be captured, going on without a CUDA graph: operation not" in found.said[0]
    assert "second line" not in "".join(found.said)
    assert found.said[-1].endswith("taking compiled" if found.compiled else "taking eager")


def test_where_nothing_compiles(gpu, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: refuse)
    found = choose(gpu, (2.0, 1.0))
    assert found.said[0].startswith("compiled blocks do not work here, going on without: operation")
    assert found.chosen.__func__ is Graph.replay and not found.compiled


def test_a_step_that_does_not_work(gpu):
    with pytest.raises(RuntimeError, match="not permitted"):
        graphed_step.fastest_step(refuse, [], CUDA, print)


def test_cpu():
    step = refuse
    assert graphed_step.fastest_step(step, [nn.ReLU()], torch.device("cpu"), print) is step
