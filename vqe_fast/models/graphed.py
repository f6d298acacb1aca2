"""CUDA graphs of models on a GPU: calls that come again are replayed in one launch."""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from vqe_fast.models.registry import ModelSpec, spec_of
from vqe_fast.nn.kept import holding
from vqe_fast.ops._autocast import autocast_enabled
from vqe_fast.ops._backend import kernel_problem

MOST_CALLS = 32
"""Kinds of calls that are remembered."""


class Capture(Protocol):
    """Interface of a capture: turns work on a device into something to replay."""

    def is_possible(self, device: torch.device) -> bool:
        """Whether work on the device can be captured now."""
        ...

    def __call__(self, run: Callable[[], object], device: torch.device) -> Callable[[], None]:
        """Captures what ``run`` does; the result does it again, in the same memory."""
        ...


class CudaCapture:
    """Captures CUDA graphs that share their memory, so that only one may run at a time."""

    def __init__(self) -> None:
        self._stream: torch.cuda.Stream | None = None
        self._graphs: weakref.WeakSet[Any] = weakref.WeakSet()

    def __reduce__(self) -> tuple[type[CudaCapture], tuple[()]]:
        """Of copies and pickles: they capture for themselves."""
        return CudaCapture, ()

    def is_possible(self, device: torch.device) -> bool:
        """Not inside another graph."""
        return device.type == "cuda" and not torch.cuda.is_current_stream_capturing()

    def __call__(self, run: Callable[[], object], device: torch.device) -> Callable[[], None]:
        """Runs ``run`` once, captures it, and gives what replays it on the current stream."""
        with torch.cuda.device(device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()
            current = torch.cuda.current_stream()
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                run()  # libraries get ready, and modules keep what they can
            current.wait_stream(self._stream)
            graph = torch.cuda.CUDAGraph()
            pool = next((other.pool() for other in self._graphs), None)
            # Other threads copy frames meanwhile, which a capture in the global mode forbids.
            mode = "thread_local"
            with (
                torch.cuda.stream(current),  # come back to, even if the capture cannot be ended
                holding() as kept,
                torch.cuda.graph(graph, pool, self._stream, capture_error_mode=mode),
            ):
                run()
        self._graphs.add(graph)
        return _Replay(graph, kept)


@dataclass(frozen=True)
class _Replay:
    graph: Any
    kept: list[Tensor]
    """What the graph reads and others may forget."""

    def __call__(self) -> None:
        self.graph.replay()


@dataclass(frozen=True)
class _Graph:
    layout: Hashable
    inputs: list[Tensor]
    output: Tensor
    replay: Callable[[], None]


class Graphed(nn.Module):
    """A model with CUDA graphs of the calls that come again.

    A call is like another if its tensors have the same shapes and dtypes, and its numbers are the
    same. The first of its kind runs as it is, the second too and is captured, the others are
    replayed. Of the last 32 kinds each is remembered: where more take turns, nothing is captured.
    Calls with gradients, under autocast or compiled ones go to the model.

    The weights must not change: those that gains are folded into are part of a graph. Calls must
    not overlap. A model that cannot be captured runs as it is, which a warning says once. When
    memory runs out, all graphs are dropped before the error is passed on.

    Args:
        model: ready to run, takes numbers and tensors, and returns a tensor.
        capture: what captures.

    Attributes:
        model: the model.
        spec: its own.
    """

    def __init__(self, model: nn.Module, capture: Capture | None = None) -> None:
        super().__init__()
        self.model = model
        self.spec = spec_of(model)
        self._capture = capture or CudaCapture()
        self._calls: OrderedDict[Hashable, _Graph | None] = OrderedDict()
        self._works = True

    def forward(self, frames: Tensor, *told: float | Tensor) -> Tensor:
        """What the model gives, in memory of its own.

        Args:
            frames: what the model takes, on its device.
            told: what it takes beside; tensors may be on the CPU. Tensors of QPs on the device are
                not checked.

        Raises:
            OutOfMemoryError: memory ran out; it is free again.
        """
        if not self._can_replay(frames):
            return cast(Tensor, self.model(frames, *told))
        try:
            return self._run((frames, *told))
        except torch.OutOfMemoryError:
            self.clear()
            raise

    def clear(self) -> None:
        """Forgets all graphs, and frees their memory."""
        self._calls.clear()

    def __getstate__(self) -> dict[str, Any]:
        """Copies capture for themselves."""
        return self.__dict__ | {"_calls": OrderedDict()}

    def _apply(self, *arguments: Any, **options: Any) -> Graphed:
        self.clear()
        return super()._apply(*arguments, **options)  # type: ignore[no-any-return, no-untyped-call]

    def _can_replay(self, frames: Tensor) -> bool:
        if torch.compiler.is_compiling() or torch.is_grad_enabled() or not self._works:
            return False
        device = frames.device
        return self._capture.is_possible(device) and not autocast_enabled(device.type)

    def _run(self, arguments: tuple[float | Tensor, ...]) -> Tensor:
        tensors = [each for each in arguments if isinstance(each, Tensor)]
        layout = tuple((each.shape, each.dtype) for each in tensors)
        numbers = tuple(None if isinstance(each, Tensor) else each for each in arguments)
        kind = (layout, numbers, kernel_problem("modulation", tensors[0].device.type))
        is_known = kind in self._calls
        graph = self._calls.get(kind)
        if graph is not None:
            self._calls.move_to_end(kind)
            for held, given in zip(graph.inputs, tensors, strict=True):
                held.copy_(given, non_blocking=True)
            graph.replay()
            return graph.output.clone()
        result = cast(Tensor, self.model(*arguments))
        self._calls[kind] = self._captured(layout, arguments, result) if is_known else None
        self._calls.move_to_end(kind)
        while len(self._calls) > MOST_CALLS:
            self._calls.popitem(last=False)
        return result

    def _captured(
        self, layout: Hashable, arguments: tuple[float | Tensor, ...], result: Tensor
    ) -> _Graph | None:
        """A graph of such a call; None if it cannot be captured."""
        device = result.device
        twin = next((each for each in self._calls.values() if each and each.layout == layout), None)
        if twin is None:
            with torch.inference_mode(False):
                tensors = [each for each in arguments if isinstance(each, Tensor)]
                inputs = [torch.empty_like(each, device=device) for each in tensors]
                output = torch.empty_like(result)
            for held, given in zip(inputs, tensors, strict=True):
                held.copy_(given)
        else:  # they are replayed one at a time
            inputs, output = twin.inputs, twin.output
        following = iter(inputs)
        held_arguments = [
            next(following) if isinstance(each, Tensor) else each for each in arguments
        ]
        model = self.model
        try:
            replay = self._capture(lambda: output.copy_(model(*held_arguments)), device)
        except RuntimeError as error:
            out_of_memory = _out_of_memory(error)
            if out_of_memory is not None:
                raise out_of_memory from None
            self._works = False
            problem = str(error).partition("\n")[0]
            warnings.warn(
                f"vqe_fast: {type(model).__name__} runs without CUDA graphs, because it cannot be "
                f"captured: {problem}",
                stacklevel=2,
            )
            return None
        return _Graph(layout, inputs, output, replay)


def can_be_graphed(model: nn.Module) -> bool:
    """Whether frames go through :meth:`Graphed.forward`: not through streams, nor as long clips."""
    spec = getattr(model, "spec", None)
    return isinstance(spec, ModelSpec) and not spec.recurrent and not hasattr(model, "stream")


def _out_of_memory(error: BaseException | None) -> torch.OutOfMemoryError | None:
    """That memory ran out, where ending the capture failed for it too."""
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError):
            return error
        error = error.__context__
    return None
