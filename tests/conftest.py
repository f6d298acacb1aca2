"""Set-up that must come before anything imports torch or Triton."""

import itertools
import os

# Threads that spin while they wait take the cores from other threads and processes of a test.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("PYTHONFAULTHANDLER", "1")  # also in the processes that tests start
if "PYTEST_XDIST_WORKER" in os.environ:
    # Others compute beside this process: it has one thread, but where a test asks for more.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from support import slow

if torch.cuda.is_available():
    # Tests compare with plain PyTorch to the last digits of float32, which TF32 does not have.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
else:
    os.environ["TRITON_INTERPRET"] = "1"


def pytest_addoption(parser):
    parser.addoption("--slow-to", metavar="FILE", help="where to list the tests that take long")


def pytest_generate_tests(metafunc):
    """Gives the tests of an OperatorContract the variants and shapes of their class."""
    for name in ("variant", "shape"):
        values = getattr(metafunc.cls, f"{name}s", None)
        if values is not None and name in metafunc.fixturenames:
            values = slow.all_but_first(values) if name == "variant" else values
            metafunc.parametrize(name, values, ids=str)


def pytest_collection_modifyitems(items):
    slow.mark(items)


def pytest_terminal_summary(terminalreporter, config):
    if path := config.getoption("slow_to"):
        reports = itertools.chain(*terminalreporter.stats.values())
        slow.write(path, [report for report in reports if hasattr(report, "duration")])
