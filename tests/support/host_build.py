"""Compiles a kernel that this machine cannot run as it is, where there is a compiler."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock
from torch.utils.cpp_extension import include_paths

ROOT = Path(__file__).resolve().parents[2]


def host_library(source, folder, *options):
    """The shared library of a ``tests/ops/<op>_on_host.cpp``, or a skip that says what is missing.

    Args:
        source: name of the file in tests/ops.
        folder: where to build it, or where another process has.
        options: more of the compiler's.
    """
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler.split()[0]) is None:
        pytest.skip(f"there is no C++ compiler {compiler!r}")
    library = folder / f"{Path(source).stem}.so"
    command = [
        *compiler.split(),
        "-std=c++20",
        "-O1",
        "-shared",
        "-fPIC",
        "-Wno-unknown-pragmas",
        *options,
    ]
    command += [f"-I{ROOT / 'csrc'}", *(f"-I{path}" for path in include_paths())]
    command += [str(ROOT / "tests" / "ops" / source), "-o", str(library)]
    with FileLock(f"{library}.lock"):
        if not library.exists():
            run = subprocess.run(command, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr[-3000:]
    return ctypes.CDLL(str(library))
