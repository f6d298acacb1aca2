"""Set-up that must come before anything imports torch or Triton."""

import os

# Threads that spin while they wait take the cores from other threads and processes of a test.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

if torch.cuda.is_available():
    # Tests compare with plain PyTorch to the last digits of float32, which TF32 does not have.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
else:
    os.environ["TRITON_INTERPRET"] = "1"


def pytest_generate_tests(metafunc):
    """Gives the tests of an OperatorContract the variants, shapes and ISA levels of their class."""
    for name in ("variant", "shape", "isa"):
        values = getattr(metafunc.cls, f"{name}s", None)
        if values is not None and name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=str)
