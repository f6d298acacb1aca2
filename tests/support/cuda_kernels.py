"""CUDA kernels compiled for a GPU that need not be here: what they take and what they are."""

import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from torch.utils.cpp_extension import include_paths

ROOT = Path(__file__).resolve().parents[2]


class Compiled(NamedTuple):
    """A kernel: registers and bytes of stack and of spills a thread, bytes of static shared memory
    a block, its disassembly, and how often each instruction stands in it, by its name before the
    first dot."""

    registers: int
    stack: int
    spills: int
    shared: int
    sass: str
    instructions: Counter


def compile_kernels(headers, kernels, arch=90):
    """Compiles instances of kernel templates with nvcc, or skips and says what is missing.

    Args:
        headers: what to include, of csrc or torch.
        kernels: the instances, each ``name<arguments>(parameters)``.
        arch: compute capability, times ten.

    Returns:
        {mangled name: the kernel}, as many as were asked for.
    """
    nvcc, disassembler = shutil.which("nvcc"), _disassembler()
    if nvcc is None:
        pytest.skip("there is no nvcc")
    if disassembler is None:
        pytest.skip("there is no cuobjdump, neither of the CUDA toolkit nor of Triton")
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder, "kernels.cu"), Path(folder, "kernels.cubin")
        lines = [f"#include <{header}>" for header in headers]
        lines += [f"template __global__ void {kernel};" for kernel in kernels]
        source.write_text("\n".join(lines) + "\n")
        command = [nvcc, "-cubin", f"-arch=sm_{arch}", "-O3", "-std=c++20", "-Xptxas", "-v"]
        command += [f"-I{ROOT / 'csrc'}", *(f"-I{path}" for path in include_paths())]
        log = _run([*command, str(source), "-o", str(cubin)]).stderr
        sass = _run([disassembler, "-sass", str(cubin)]).stdout
    code = {part.split(None, 1)[0]: part for part in sass.split("Function : ")[1:]}
    compiled = {}
    for name, text in re.findall(r"Compiling entry function '(\w+)'(.*?Used [^\n]*)", log, re.S):
        taken = [
            int(found[1]) if (found := re.search(pattern, text)) else 0
            for pattern in (
                r"Used (\d+) registers",
                r"(\d+) bytes stack frame",
                r"(\d+) bytes spill stores",
                r"(\d+) bytes smem",
            )
        ]
        names = re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+ +)?([A-Z]\w*)", code[name], re.M)
        compiled[name] = Compiled(*taken, code[name], Counter(names))
    assert len(compiled) == len(kernels)
    return compiled


def _disassembler():
    """The toolkit's cuobjdump or Triton's, or None."""
    found = shutil.which("cuobjdump")
    triton = importlib.util.find_spec("triton")
    if found is None and triton is not None:
        inside = Path(triton.origin).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        found = str(inside) if inside.exists() else None
    return found


def _run(command):
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return run
