"""Which Triton kernels the tests for a GPU compile, counted where there is none.

A plugin of pytest, ``-p support.counted_kernels``. It leaves the tests with a ``device``, which run
on a GPU too, and runs them on the CPU. What they ask of an operator is asked of its launchers as
well; a launch makes the key of its kernel, as on a GPU, and ends there. Results are those of the
CPU kernels, so that no test ends before its last call. At the end a line for each kernel says how
many there are.
"""

import os

os.environ["TRITON_INTERPRET"] = "0"  # kernels are interpreted or not from when they are read

import importlib
from collections import defaultdict

import pytest
import torch
import triton
from no_device import NoDevice
from torch.utils._python_dispatch import TorchDispatchMode

from vqe_fast.ops._backend import TRITON_OPERATORS


def _launchers():
    """The launcher of each operator's schema, which has its name."""
    names = torch.ops.vqe_fast
    for operator in sorted(TRITON_OPERATORS):
        module = importlib.import_module(f"vqe_fast.kernels.{operator}")
        for name, launcher in vars(module).items():
            if not name.startswith("_") and hasattr(names, name):
                yield getattr(names, name).default, launcher


LAUNCHERS = dict(_launchers())


class LaunchesToo(TorchDispatchMode):
    """Hands an operator's arguments to its launcher, then lets the CPU kernel do it."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function in LAUNCHERS:
            LAUNCHERS[function](*arguments, **(options or {}))
        return function(*arguments, **(options or {}))


counted = defaultdict(set)


def _count(*, key, fn, **_):
    """Called by Triton before it compiles a kernel, which it does not if this is True."""
    counted[f"{fn.module.rpartition('.')[2]}.{fn.name}"].add(str(key))
    return True


triton.runtime.driver.set_active(NoDevice())
triton.knobs.runtime.jit_cache_hook = _count

# Both call the operators as anyone does, and take a second each for what they do beside that.
torch.compile = lambda function, **_: function
torch.library.opcheck = lambda overload, arguments, **_: overload(*arguments)


def pytest_collection_modifyitems(config, items):
    chosen = [i for i in items if getattr(i, "callspec", None) and "device" in i.callspec.params]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    with LaunchesToo():
        return (yield)


def pytest_terminal_summary(terminalreporter):
    for name, keys in sorted(counted.items()):
        terminalreporter.write_line(f"{name}: {len(keys)} kernels")
