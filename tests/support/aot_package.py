"""All operators in one package of AOTInductor: C++ that is compiled for half a minute."""

import functools
import tempfile
from pathlib import Path

import torch

from support.modes import OPERATORS, seeded
from vqe_fast import ops, reference


class Everything(torch.nn.Module):
    """Each operator's call with its tensors."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self, tensors):
        calls = (call for call, _ in OPERATORS.values())
        return [call(self.of, *each) for call, each in zip(calls, tensors, strict=True)]


@functools.cache
def operators_in_a_package():
    """Operator → ``kernel``, or ``reference`` if the package does without it.

    Raises:
        AssertionError: a result is not that of plain PyTorch.
    """
    tensors = [seeded(*shapes) for _, shapes in OPERATORS.values()]
    program = torch.export.export(Everything(ops), (tensors,))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "operators.pt2"))
        torch._inductor.aoti_compile_and_package(program, package_path=path)
        package = torch._inductor.aoti_load_package(path)
        inside, found = called(package, tensors)
    torch.testing.assert_close(found, Everything(reference)(tensors), rtol=1e-6, atol=1e-9)
    cells = {}
    for (name, (call, _)), each in zip(OPERATORS.items(), tensors, strict=True):
        kernels, _ = called(call, ops, *each)
        cells[name] = "kernel" if kernels and kernels <= inside else "reference"
    return cells


def called(function, *arguments):
    """The names of the kernels that a call takes, and what it returns."""
    with torch.autograd.profiler.profile(use_kineto=False) as profile:
        result = function(*arguments)
    events = {event.name for event in profile.function_events}
    return {name for name in events if name.startswith("vqe_fast::")}, result
