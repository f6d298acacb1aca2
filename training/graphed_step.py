"""The fastest form of a training step: eager or compiled, in a CUDA graph or not."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

Step = Callable[[], None]
Say = Callable[[str], None]

_WARM_UP, _TIMED = 3, 10
_COMPILED = "compiled"


def fastest_step(step: Step, blocks: list[nn.Module], device: torch.device, say: Say) -> Step:
    """Times the forms of a step that a device has, and returns the fastest.

    On a GPU these are the step as it is and with its blocks compiled, each in a CUDA graph, or
    without one where it cannot be captured. What does not work is said and left out. The CPU has
    the step as it is alone. All that is tried are steps like any other.

    Args:
        step: takes a step, on the current stream, without waiting for the device.
        blocks: modules that make up most of it; those of one class and shape compile once.
        device: where it runs.
        say: told what was tried.

    Returns:
        Takes a step.

    Raises:
        RuntimeError: not even the step as it is works.
    """
    if device.type != "cuda":
        return step
    step()
    tried = [_timed(step, "eager", say)]
    _compile(blocks)
    try:
        step()
        tried.append(_timed(step, _COMPILED, say))
    except Exception as error:  # whatever a compiler raises
        say(f"compiled blocks do not work here, going on without: {_first_line(error)}")
    seconds = ", ".join(f"{name} {1e3 * each:.2f} ms" for each, name, _ in tried)
    _, name, chosen = min(tried, key=lambda each: each[0])
    say(f"a step: {seconds}; taking {name}")
    if name != _COMPILED:
        for block in blocks:
            del block.forward
    return chosen


def _compile(blocks: list[nn.Module]) -> None:
    for block in blocks:
        block.forward = torch.compile(block.forward, dynamic=False, fullgraph=True)


def _timed(step: Step, name: str, say: Say) -> tuple[float, str, Step]:
    """Seconds, what to call it, and the step, in a CUDA graph if that can be."""
    run, name = _captured(step, name, say)
    return _seconds(run), name, run


def _captured(step: Step, name: str, say: Say) -> tuple[Step, str]:
    """The step in a CUDA graph, and what to call it; as it is where it cannot be captured."""
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
    except RuntimeError as error:
        torch.cuda.synchronize()
        say(f"{name} cannot be captured, going on without a CUDA graph: {_first_line(error)}")
        return step, name
    return graph.replay, f"{name} in a CUDA graph"


def _seconds(run: Step) -> float:
    """What a step takes, over some."""
    run()
    torch.cuda.synchronize()
    since = time.perf_counter()
    for _ in range(_TIMED):
        run()
    torch.cuda.synchronize()
    return (time.perf_counter() - since) / _TIMED


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
