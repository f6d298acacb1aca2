"""Ways to run a model, and what it costs to expect."""

import copy
import functools
import time
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

import vqe_fast
from vqe_fast import create_model
from vqe_fast.bench.case import Candidate, NotDone, relative_error
from vqe_fast.bench.functions import compiled, random_tensors
from vqe_fast.models import spec_of
from vqe_fast.models.inference import DTYPES, prepare_inference

GRAPH = "vqe_fast CUDA graph"
QP = 32.0
CLIP = 5
"""Frames that a recurrent model gets."""
GATE = (32, 48)
"""Height and width at which results are checked against float64."""
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


class Inputs(NamedTuple):
    """Frames (1, C, H, W) or (1, T, C, H, W), how many come out, and the QP or nothing."""

    images: torch.Tensor
    frames: int
    qp: tuple[float, ...]


def inputs_of(model, size, device, number):
    """As the model's spec asks for them, float32."""
    spec = spec_of(model)
    length = CLIP if spec.recurrent else 2 * spec.temporal_radius + 1
    channels = 1 if spec.planes == "y" else 3
    shape = (1, length, channels, *size) if length > 1 else (1, channels, *size)
    (images,) = random_tensors(number, [shape], torch.float32, device)
    return Inputs(images, length if spec.recurrent else 1, (QP,) if spec.takes_qp else ())


def candidate_of(model, name, dtype, device, problem):
    """The implementation called ``name``, checked against the model in float64."""
    plain = name.startswith("plain")

    def make():
        run = Plain(model, dtype, device) if plain else Fast(model, dtype, device)
        if name.endswith("compiled"):
            run.compile()
        return Graph(run) if name == GRAPH else run

    def error(run):
        inputs = inputs_of(model, GATE, device, 1)
        result = run.of_middle(inputs).detach()
        return relative_error([result], [_exact(model, device)])

    role = "alternative" if plain else "own"
    tolerance = TOLERANCES[dtype]
    return Candidate(name, role, make, error, problem, dtype=dtype, tolerance=tolerance)


@functools.lru_cache(maxsize=1)
def _exact(model, device):
    inputs = inputs_of(model, GATE, device, 1)
    with torch.inference_mode(), vqe_fast.backend("reference"):
        own = copy.deepcopy(model).to(device, torch.float64)
        return own(inputs.images.double(), *inputs.qp).clone()


class Plain:
    """The model on the reference backend, in the layout it was built in."""

    def __init__(self, model, dtype, device):
        self._call = copy.deepcopy(model).to(device, dtype)
        self._dtype = dtype

    def compile(self):
        """From now on."""
        self._call = compiled(self._call)

    @torch.inference_mode()
    def __call__(self, inputs):
        """The enhanced frames."""
        with vqe_fast.backend("reference"):
            return self._call(inputs.images.to(self._dtype), *inputs.qp)

    of_middle = __call__


class Fast:
    """The model as the engine prepares it; frame by frame where it has a stream."""

    def __init__(self, model, dtype, device):
        precision = next(name for name, known in DTYPES.items() if known == dtype)
        place = torch.device(device)
        self._model, _ = prepare_inference(model, device=place, precision=precision)
        self._stream = self._model.stream() if has_stream(self._model) else None
        self._call = self._model

    def compile(self):
        """A stream keeps Python objects between frames: what it calls is compiled."""
        if self._stream is None:
            self._call = compiled(self._model)
        else:
            self._model.features = compiled(self._model.features)
            self._model.enhance = compiled(self._model.enhance)

    @torch.inference_mode()
    def __call__(self, inputs):
        """The enhanced frames; of a stream, the frame before the one in the middle."""
        if self._stream is None:
            return self._call(inputs.images, *inputs.qp)
        return self._stream.push(inputs.images[:, 1], *inputs.qp)

    @torch.inference_mode()
    def of_middle(self, inputs):
        """What a stream gives for the frame in the middle when it has seen all of them."""
        if self._stream is None:
            return self._call(inputs.images, *inputs.qp)
        while self._stream.flush() is not None:
            pass
        for frame in inputs.images.unbind(1):
            enhanced = self._stream.push(frame, *inputs.qp)
        while self._stream.flush() is not None:
            pass
        return enhanced


class Graph:
    """A run captured in a CUDA graph, once for each size of frames."""

    def __init__(self, run):
        self._run = run
        self._captured = {}

    def __call__(self, inputs):
        """The enhanced frames, overwritten by the next call."""
        size = inputs.images.shape
        if size not in self._captured:
            self._captured = {size: self._capture(inputs)}
        graph, held, result = self._captured[size]
        held.images.copy_(inputs.images)
        graph.replay()
        return result

    of_middle = __call__

    def _capture(self, inputs):
        held = inputs._replace(images=inputs.images.clone())
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._run(held)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                result = self._run(held)
        except RuntimeError as error:
            raise NotDone(f"cannot be captured: {str(error).partition(chr(10))[0]}") from error
        return graph, held, result


@functools.cache
def has_stream(model):
    """Whether a model is measured as a stream, frame by frame; recurrent ones are as clips."""
    return hasattr(model, "stream") and not spec_of(model).recurrent


def flops_of(name, size, *, plain):
    """Floating-point operations of a call, counted on tensors without memory."""
    with torch.device("meta"):
        model = create_model(name).eval()
    inputs = inputs_of(model, size, "meta", 0)
    with torch.inference_mode(), vqe_fast.backend("reference"):
        if plain or not has_stream(model):
            return _counted(lambda: model(inputs.images, *inputs.qp))
        stream = model.stream()
        for frame in inputs.images.unbind(1)[:2]:
            stream.push(frame, *inputs.qp)
        return _counted(lambda: stream.push(inputs.images[:, 2], *inputs.qp))


def _counted(call):
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def seconds_expected(flops, device):
    """Of a call that computes as fast as a convolution does here."""
    return flops / _rate(device)


@functools.cache
def _rate(device):
    """Floating-point operations a second of a convolution of float32 (bfloat16 on a GPU)."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    conv = torch.nn.Conv2d(64, 64, 3, padding=1, device=device, dtype=dtype)
    side = 1024 if device == "cuda" else 256
    features = torch.rand(1, 64, side, side, device=device, dtype=dtype)
    times = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            conv(features)
            if device == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return 2 * 9 * 64 * 64 * side**2 / min(times)
