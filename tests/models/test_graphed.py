"""Calls that are captured and replayed; on a CPU by a recording of the operators they run."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from support.small_models import SMALL, randomised
from vqe_fast.models import graphed, spec_of
from vqe_fast.models.graphed import CudaCapture, Graphed, can_be_graphed

SIZE = (24, 32)


class Recording(TorchDispatchMode):
    """Operators on a CPU, which can be run again in the same memory: what a CUDA graph is."""

    def __init__(self):
        super().__init__()
        self._operators = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self._operators.append((func, args, kwargs or {}, result))
        return result

    def replay(self):
        for func, args, kwargs, result in self._operators:
            again = func(*args, **kwargs)
            for held, made in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(held, torch.Tensor) and held.data_ptr() != made.data_ptr():
                    held.copy_(made)


class Recorder:
    """Captures recordings."""

    def __init__(self):
        self.captured = 0

    def is_possible(self, device):
        return True

    def __call__(self, run, device):
        self.captured += 1
        with Recording() as recording:
            run()
        return recording.replay


class Brighter(nn.Module):
    """frames · weight + what it is told; counts its calls."""

    spec = spec_of(randomised("identity"))

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.calls = 0

    def forward(self, frames, told=0.0, more=0):
        self.calls += 1
        told = told.view(-1, 1, 1, 1) if isinstance(told, torch.Tensor) else told
        return frames * self.weight.to(frames.dtype) + told + more


@pytest.fixture
def model():
    return Graphed(Brighter().eval(), Recorder())


def frames(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape or (1, 1, 4, 6), generator=generator).to(dtype)


def call(model, given, *told):
    with torch.inference_mode():
        result = model(given, *told)
        assert torch.equal(result, given * 2 + sum(torch.as_tensor(each) for each in told))
    return result


def test_the_second_call_of_a_kind_is_captured(model):
    counts = []
    for seed in range(4):
        call(model, frames(seed=seed), 3.0)
        counts.append((model.model.calls, model._capture.captured))
    assert counts == [(1, 0), (3, 1), (3, 1), (3, 1)]


def test_results_stay_as_they_are(model):
    results = [call(model, frames(seed=seed)) for seed in range(4)]
    for seed, result in enumerate(results):
        assert torch.equal(result, frames(seed=seed) * 2)


@pytest.mark.parametrize(
    "other",
    [(frames(1, 1, 6, 4), 3.0), (frames(dtype=torch.float64), 3.0), (frames(), 4.0)],
    ids=["shape", "dtype", "number"],
)
def test_other_kinds(model, other):
    for _ in range(3):
        call(model, frames(), 3.0)
        call(model, *other)
    assert model._capture.captured == 2 and model.model.calls == 6


def test_tensors_are_given_anew(model):
    for qp in range(5):
        call(model, frames(2, 1, 4, 6), torch.full((2, 1, 1, 1), float(qp)), 1)
    assert model._capture.captured == 1 and model.model.calls == 3


def test_graphs_of_a_shape_share_what_is_held(model):
    for number in (1.0, 2.0):
        for seed in range(3):
            call(model, frames(seed=seed), number)
    first, second = model._calls.values()
    assert first.inputs is second.inputs and first.output is second.output
    call(model, frames(seed=5), 1.0)


def test_the_last_kinds_are_remembered(model, monkeypatch):
    monkeypatch.setattr(graphed, "MOST_CALLS", 2)
    for _ in range(3):
        for number in (1.0, 2.0, 3.0):  # more than are remembered: none is worth a graph
            call(model, frames(), number)
    assert model._capture.captured == 0
    for number in (1.0, 1.0, 2.0, 1.0, 3.0, 1.0):
        call(model, frames(), number)
    assert model._capture.captured == 1 and len(model._calls) == 2


def fails(error, ending=None):
    """A capture that fails, and whose end fails for that."""

    def capture(run, device):
        try:
            raise error
        finally:
            if ending is not None:
                raise ending

    recorder = Recorder()
    capture.is_possible = recorder.is_possible
    return capture


def test_what_cannot_be_captured_runs_as_it_is():
    model = Graphed(Brighter().eval(), fails(RuntimeError("not permitted\nwhen capturing")))
    call(model, frames())
    with pytest.warns(UserWarning, match="Brighter runs without CUDA graphs.* not permitted$"):
        call(model, frames())
    with warnings.catch_warnings(action="error"):
        call(model, frames())
        call(model, frames(1, 1, 6, 4))
        call(model, frames(1, 1, 6, 4))


@pytest.mark.parametrize("ending", [None, RuntimeError("the capture ended")])
def test_out_of_memory_is_passed_on(model, ending):
    """To who cuts frames into tiles, which find the memory of all graphs free."""
    for _ in range(2):
        call(model, frames())
    model._capture = fails(torch.OutOfMemoryError("out of memory"), ending)
    call(model, frames(1, 1, 6, 4))
    with pytest.raises(torch.OutOfMemoryError):
        call(model, frames(1, 1, 6, 4))
    assert not model._calls
    model._capture = Recorder()
    for _ in range(3):
        call(model, frames())
    assert model._capture.captured == 1


def test_gradients_autocast_and_compilation_go_to_the_model(model):
    for _ in range(3):
        model(frames()).sum().backward()
    assert model.model.weight.grad is not None
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(3):
            call(model, frames())
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for _ in range(3):
        call(compiled, frames())
    assert model._capture.captured == 0


def test_no_graphs_on_a_cpu_or_without_need():
    model = Graphed(Brighter().eval())
    for _ in range(3):
        call(model, frames())
    assert model.model.calls == 3


def test_copies_and_other_places_capture_for_themselves(model):
    model._capture = CudaCapture()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(twin._capture, CudaCapture) and twin._capture is not model._capture
        assert spec_of(twin) == spec_of(model)
    model._capture = Recorder()
    for _ in range(2):
        call(model, frames())
    assert not copy.deepcopy(model)._calls
    call(model.double(), frames(dtype=torch.float64))
    assert list(model._calls.values()) == [None]


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_model(name):
    """Replayed with other frames, and other QPs in tensors, as it is run otherwise."""
    model = randomised(name)
    spec = spec_of(model)
    assert can_be_graphed(model) == (not spec.recurrent and not hasattr(model, "stream"))
    if not can_be_graphed(model):
        return
    graph, channels = Graphed(model, Recorder()), 1 if spec.planes == "y" else 3
    size = tuple(-(-side // 8) for side in SIZE)
    kinds = [()]
    if spec.takes_qp:
        kinds = [(30.0,), (torch.tensor([25.0, 35.0]),), (torch.full((2, *size), 30.5),)]
    if spec.takes_coding:
        kinds += [(30.0, 1, 2), (torch.full((2, *size), 30, dtype=torch.uint8), 1, 2)]
    with torch.inference_mode():
        for told in kinds:
            for seed in range(4):
                given = frames(2, channels, *SIZE, seed=seed)
                told = [each + seed if isinstance(each, torch.Tensor) else each for each in told]
                torch.testing.assert_close(graph(given, *told), model(given, *told))
    assert graph._capture.captured == len(kinds)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", [name for name in sorted(SMALL) if name != "pequenet"])
def test_on_a_gpu(name):
    """CUDA graphs give what the model gives, for QPs that take turns, and after they were freed."""
    model = randomised(name).cuda()
    spec = spec_of(model)
    if not can_be_graphed(model):
        pytest.skip("recurrent models see clips")
    graph, channels = Graphed(model), 1 if spec.planes == "y" else 3
    numbers = (30.0, 31.0, torch.tensor([25.0, 35.0])) if spec.takes_qp else (None,)
    with torch.inference_mode(), warnings.catch_warnings(action="error"):
        for seed in range(6):
            for size in (SIZE, (40, 40)):
                for qp in numbers:
                    given = frames(2, channels, *size, seed=seed).cuda()
                    told = () if qp is None else (qp,)
                    expected = model(given, *told)
                    torch.testing.assert_close(graph(given, *told), expected)
            if seed == 3:
                graph.clear()
    assert all(each is not None for each in graph._calls.values())
