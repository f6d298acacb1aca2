"""Triton kernels where there is no GPU: interpreted on tiny shapes, or compiled and not run."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
import torch

ARCHS = (80, 90)
SHARED_MEMORY_LIMIT = {80: 163 * 1024, 90: 227 * 1024}

interpreted = pytest.mark.skipif(
    torch.cuda.is_available(), reason="there is a GPU: the kernels run on it in the contract tests"
)


@dataclass(frozen=True)
class Specialisation:
    """One kernel with the types of its arguments and the values of its constants.

    Types are Triton's: ``*bf16`` is a pointer, ``i32`` a number; the constants are Python values,
    a Triton dtype by its name with ``tl.`` before it. ``divisible``: which arguments are multiples
    of 16, which makes loads wider; all that are no constants, those named, or none; ``aligned``:
    whether every pointer is; ``disassembled``: whether its machine code is looked at, which takes
    longer than to compile it.
    """

    module: str
    kernel: str
    signature: dict[str, str]
    constants: dict[str, object] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 3
    divisible: bool | tuple[str, ...] = False
    aligned: bool = False
    disassembled: bool = False
    archs: tuple[int, ...] = ARCHS


@dataclass(frozen=True)
class Footprint:
    """What a compiled kernel takes: bytes of shared memory a block, registers and bytes of stack,
    which is where they are spilled, a thread; what its PTX does, ``sqrt.rn.f32`` and so on; how
    often each instruction stands in its machine code, where that was asked for."""

    shared: int
    registers: int
    stack: int
    opcodes: frozenset[str] = field(repr=False)
    instructions: dict[str, int] = field(repr=False)

    def count(self, name):
        """Instructions whose names begin with ``name``."""
        return sum(count for full, count in self.instructions.items() if full.startswith(name))

    def fits(self, arch):
        """Whether a block gets its shared memory and a thread spills next to nothing."""
        return self.shared <= SHARED_MEMORY_LIMIT[arch] and self.stack <= 32


def compile_only(specialisations):
    """Compiles each for every arch in one new process, where the interpreter is off.

    Skips the test where there is a GPU, which compiles what it runs and has no time for more.

    Returns:
        {(index of the specialisation, arch): its footprint}.
    """
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: the kernels are compiled for it by the tests that run them")
    environment = os.environ | {"TRITON_INTERPRET": "0"}
    run = subprocess.run(
        [sys.executable, str(Path(__file__))],
        input=json.dumps([asdict(one) for one in specialisations]),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return {
        (index, arch): Footprint(*taken, frozenset(opcodes), instructions)
        for index, arch, *taken, opcodes, instructions in json.loads(run.stdout)
    }


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
    signature = {name: signature[name] for name in kernel.arg_names}
    named = one["divisible"] if isinstance(one["divisible"], list) else one["signature"]
    wide = [
        (i,)
        for i, (name, kind) in enumerate(signature.items())
        if (one["divisible"] and name in named and kind != "constexpr")
        or (one["aligned"] and kind[0] == "*")
    ]
    attributes = {key: [["tt.divisibility", 16]] for key in wide}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
    options = {"num_warps": one["num_warps"], "num_stages": one["num_stages"]}
    compiled = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as binary:
        binary.write(compiled.asm["cubin"])
        binary.flush()
        shown = ["--dump-sass"] if one["disassembled"] else []
        command = [tool, "--dump-resource-usage", *shown, binary.name]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers, stack = map(int, re.search(r"REG:(\d+) STACK:(\d+)", said).groups())
    opcodes = set(re.findall(r"^\s+(?:@\S+ )?([a-z][\w.]+)", compiled.asm["ptx"], re.M))
    names = re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+ )?([\w.]+)", said, re.MULTILINE)
    return compiled.metadata.shared, registers, stack, sorted(opcodes), Counter(names)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    results = [
        (i, arch, *_compile(one, arch)) for i, one in enumerate(asked) for arch in one["archs"]
    ]
    print(json.dumps(results))
