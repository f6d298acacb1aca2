"""What gives the result of an operator in a mode of PyTorch, and whether it is right."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import warnings
from functools import partial
from unittest import mock

import pytest
import torch

from support.aot_package import called, operators_in_a_package
from support.graph_modes import GRAPHS
from support.modes import DERIVATIVES, OPERATORS, seeded
from support.processes import PATIENCE
from support.tensor_modes import TENSORS
from vqe_fast import ops, reference
from vqe_fast.ops._autograd import reference_gradients
from vqe_fast.ops._backend import OPERATORS as ROOMS


@functools.cache
def operators_in_a_process_group():
    """Mode of ``torch.distributed`` → operator → its cell."""
    run = subprocess.run(
        [sys.executable, "-P", "-m", "support.parallel_modes"],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    return json.loads(run.stdout)


def _in_a_process_group(mode):
    return lambda: operators_in_a_process_group()[mode]


PARALLEL = ("DistributedDataParallel", "FSDP2", "DTensor")
TOGETHER = {
    "AOTInductor": operators_in_a_package,
    **{mode: _in_a_process_group(mode) for mode in PARALLEL},
}
"""Mode → the cells of all operators, which cost less together."""
ALONE = (*DERIVATIVES, *GRAPHS, *TENSORS)
MODES = (*DERIVATIVES, *GRAPHS, *TENSORS, *TOGETHER)
BFLOAT16 = {"rtol": 0.05, "atol": 0.02}
"""In which attention is computed under autocast."""


def cell(operator, mode):
    """``kernel``, ``reference`` or ``both``, what gave the result; ``refused`` if it is an error.

    Raises:
        AssertionError: the result is not that of plain PyTorch.
    """
    if mode in TOGETHER:
        return TOGETHER[mode]()[operator]
    if mode in DERIVATIVES:
        return checked(operator, DERIVATIVES[mode], DERIVATIVES[mode])
    if mode in TENSORS:
        return checked(operator, *TENSORS[mode], **BFLOAT16 if mode == "autocast" else {})
    graph = GRAPHS[mode]
    call, shapes = OPERATORS[operator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = graph.make(partial(call, ops), seeded(*shapes))
    return checked(operator, lambda _, tensors: graph.call(made, tensors), graph.expected)


def checked(operator, run, expected, *, rtol=1e-6, atol=1e-9):
    """The :func:`cell` of what ``run`` makes of an operator and its tensors.

    ``expected`` makes of plain PyTorch and the same tensors what it must be.
    """
    call, shapes = OPERATORS[operator]
    tensors = seeded(*shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with gradients_asked_of_reference() as asked:
            kernels, found = called(run, partial(call, ops), tensors)
        right = expected(partial(call, reference), tensors)
        torch.testing.assert_close(found, right, rtol=rtol, atol=atol)
    if not kernels:
        return "reference"
    return "both" if asked else "kernel"


def refused(operator, run):
    """The :func:`cell` of what must be an error that names the operator."""
    call, shapes = OPERATORS[operator]
    with pytest.raises(NotImplementedError, match="vqe_fast"):
        run(partial(call, ops), seeded(*shapes))
    return "refused"


@contextlib.contextmanager
def gradients_asked_of_reference():
    """A list of the operators whose backward takes plain PyTorch while it is open."""
    asked = []

    def noted(function, *arguments):
        asked.append(function)
        return reference_gradients(function, *arguments)

    with contextlib.ExitStack() as stack:
        for module in ROOMS:
            place = sys.modules[f"vqe_fast.ops.{module}"]
            if hasattr(place, "reference_gradients"):
                stack.enter_context(mock.patch.object(place, "reference_gradients", noted))
        yield asked
