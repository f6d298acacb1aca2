"""Triton kernels where there is no GPU: interpreted on tiny shapes, or compiled and not run."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
import torch

SHARED_MEMORY_LIMIT = 227 * 1024
ARCHS = (80, 90)

interpreted = pytest.mark.skipif(
    torch.cuda.is_available(), reason="there is a GPU: the kernels run on it in the contract tests"
)


@dataclass(frozen=True)
class Specialisation:
    """One kernel with the types of its arguments and the values of its constants.

    Types are Triton's: ``*bf16`` is a pointer, ``i32`` a number; the constants are Python values,
    a Triton dtype by its name with ``tl.`` before it.
    """

    module: str
    kernel: str
    signature: dict[str, str]
    constants: dict[str, object] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 3


def compile_only(specialisations):
    """Compiles each for every arch in one new process, where the interpreter is off.

    Returns:
        {(index of the specialisation, arch): bytes of shared memory}.
    """
    environment = os.environ | {"TRITON_INTERPRET": "0"}
    run = subprocess.run(
        [sys.executable, str(Path(__file__))],
        input=json.dumps([asdict(one) for one in specialisations]),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return {(index, arch): shared for index, arch, shared in json.loads(run.stdout)}


def _compile(one, arch):
    import importlib

    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(importlib.import_module(one["module"]), one["kernel"])
    constants = {
        name: getattr(tl, value[3:]) if isinstance(value, str) and value[:3] == "tl." else value
        for name, value in one["constants"].items()
    }
    signature = one["signature"] | dict.fromkeys(constants, "constexpr")
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    options = {"num_warps": one["num_warps"], "num_stages": one["num_stages"]}
    compiled = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    return compiled.metadata.shared


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    results = [(i, arch, _compile(one, arch)) for i, one in enumerate(asked) for arch in ARCHS]
    print(json.dumps(results))
