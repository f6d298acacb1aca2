"""Models as the engine runs them, against the same weights in plain PyTorch, eager and compiled.

``plain`` is the reference backend, which stores attention maps; a model with a stream is pushed
frame by frame, and the plain one computes everything anew for each frame. Weights are random.
"""

import functools
import math

import torch
from harness import BF16, FP32, Case
from model_runs import (
    GATE,
    GRAPH,
    candidate_of,
    flops_of,
    has_stream,
    inputs_of,
    seconds_expected,
)

from vqe_fast import create_model, list_models
from vqe_fast.bench.case import Work

SIZES = {
    "cpu": ((240, 416), (720, 1280)),
    "cuda": ((1080, 1920), (720, 1280), (2160, 3840)),
}
TINY = (32, 48)
# The first of these first: there may be no time for all.
FIRST = ("pequenet", "carcnn", "dualres_s", "carcnn_small")
NETWORKS = [name for name in list_models() if name != "identity"]
# Implementation → dtype.
NAMES = {
    "cpu": {
        "vqe_fast": FP32,
        "vqe_fast bf16": BF16,
        "vqe_fast compiled": FP32,
        "plain": FP32,
        "plain compiled": FP32,
        "plain bf16": BF16,
    },
    "cuda": {
        "vqe_fast": BF16,
        GRAPH: BF16,
        "vqe_fast compiled": BF16,
        "plain": BF16,
        "plain compiled": BF16,
    },
}
STREAMED = ("pequenet", "dualres_t")
"""Models with a stream, whose frames follow each other in Python; bfloat16 was asked of them."""
ALIGNED = ("dualres_t", "dualres_r")
"""Models that align neighbours."""
LONGEST = {"cpu": 12.0, "cuda": 30.0}
"""Seconds a call that a model may be expected to take, or it is left out."""
LONGEST_TINY = 1.0
"""The same of tiny frames, which bfloat16 may take ten times as long for."""
LONGEST_COMPILED = 1.0
"""The same of what is compiled on a CPU: large models take minutes to compile."""
BUDGET = {"cpu": 3.0, "cuda": 1.0}


def plan(device, tiny):
    if tiny:
        pairs, names = [(model, TINY) for model in NETWORKS], NAMES["cuda"] | NAMES["cpu"]
    else:
        pairs, names = in_order(device), NAMES[device]
    longest = LONGEST_TINY if tiny else LONGEST[device]
    return [
        Case(
            f"{model} {size}",
            chosen := names_of(model, names),
            functools.partial(work, model, size, device, chosen, longest),
            BUDGET[device],
            rotate=False,
        )
        for model, size in pairs
    ]


def in_order(device):
    """Models and sizes: the first ones, then the others by about what they cost."""
    first = [(model, SIZES[device][0]) for model in FIRST]
    others = [(model, size) for size in SIZES[device] for model in NETWORKS]
    others = sorted((pair for pair in others if pair not in first), key=_cost)
    return first + others


def _cost(pair):
    model, size = pair
    return flops_of(model, GATE, plain=False) * math.prod(size)


def names_of(model, names):
    """Those that make sense for a model."""
    useless = {GRAPH} if model in STREAMED else {"plain bf16"}
    if model in ALIGNED:  # minutes, for the neighbours one by one
        useless |= {name for name in names if name.endswith("compiled")}
    return {name: dtype for name, dtype in names.items() if name not in useless}


def work(name, size, device, names, longest):
    torch.manual_seed(0)
    model = create_model(name).eval()
    streams = has_stream(model)
    flops = flops_of(name, size, plain=not streams)
    expected = {
        False: seconds_expected(flops, device),
        True: seconds_expected(flops_of(name, size, plain=True), device),
    }

    def problem(implementation):
        if implementation == GRAPH and device == "cpu":
            return "is for GPUs"
        seconds = expected[implementation.startswith("plain")]
        if seconds > longest:
            return f"left out: a call is expected to take {seconds:.2g} s"
        if implementation.endswith("compiled") and not is_compiled(name, size, device, seconds):
            return "left out: compiling takes too long"
        return None

    return Work(
        operator="model",
        case=name,
        shape=size,
        dtype=next(iter(names.values())),
        direction="forward",
        device=device,
        sample=lambda number: inputs_of(model, size, device, number),
        candidates=[
            candidate_of(model, implementation, dtype, device, problem(implementation))
            for implementation, dtype in names.items()
        ],
        work_flops=flops,
        frames=inputs_of(model, size, "meta", 0).frames,
    )


def is_compiled(name, size, device, seconds):
    """Whether there is time to compile a model: on a GPU for some at one size."""
    if device == "cuda":
        return name in FIRST and size == SIZES["cuda"][0]
    return seconds <= LONGEST_COMPILED


def test_models(report, case, name):
    report(case, name)
