"""Every header of csrc opens alone, and what it includes points one way."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter

import pytest
from torch.utils.cpp_extension import include_paths

from support.host_build import ROOT

pytestmark = pytest.mark.slow  # a compiler has to run first

CSRC = ROOT / "csrc"
HEADERS = sorted(path.relative_to(CSRC).as_posix() for path in CSRC.rglob("*.*h"))
NEED_CUDA = ["common/cuda.h"]
OPTIONS = [
    *("-std=c++20", "-w", "-DTORCH_STABLE_ONLY", "-DTORCH_TARGET_VERSION=0x020a000000000000"),
    *(f"-I{path}" for path in [CSRC, *include_paths()]),
]
SHARED = {"common": set(), "simd": {"common"}, "gemm": {"common", "simd"}}
"""What the folders that operators share may include of the others."""


def alone(header):
    """Options for a file that includes nothing else; kernels are compiled at every ISA level."""
    if header.endswith("-inl.h"):
        levels = ["-DVQE_FAST_BFLOAT16_LEVELS", f'-DVQE_FAST_KERNELS="{header}"']
        return [*levels, "-include", "simd/foreach_isa.h"]
    if header.endswith(".cuh"):
        shim = ROOT / "tests" / "support" / "cuda_on_host.h"
        return ["-include", str(shim), "-include", header]
    return ["-include", header]


def errors(command):
    run = subprocess.run(command, capture_output=True, text=True)
    return run.stderr[:2000] if run.returncode else ""


def test_each_header_opens_alone():
    compiler = os.environ.get("CXX", "c++").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"there is no C++ compiler {compiler[0]!r}")
    start = [*compiler, "-fsyntax-only", *OPTIONS]
    headers = [header for header in HEADERS if header not in NEED_CUDA]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        commands = ([*start, *alone(header), "-x", "c++", os.devnull] for header in headers)
        found = dict(zip(headers, pool.map(errors, commands), strict=True))
    assert not {header: said for header, said in found.items() if said}


@pytest.mark.parametrize("header", NEED_CUDA)
def test_each_header_that_needs_cuda_opens_alone(header):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("there is no nvcc, whose headers it includes")
    start = [nvcc, "-x", "c++", "-Xcompiler", "-fsyntax-only", "-DUSE_CUDA", *OPTIONS]
    assert not errors([*start, *alone(header), "-c", os.devnull, "-o", os.devnull])


def test_includes_point_one_way():
    included = {
        path.relative_to(CSRC).as_posix(): re.findall(r'#include "(.+)"', path.read_text("utf-8"))
        for path in CSRC.rglob("*.*")
    }
    for file, others in included.items():
        assert set(others) <= set(HEADERS), f"{file} includes what is not in csrc"
        folder = file.rpartition("/")[0]
        if folder:
            allowed = {folder} | SHARED.get(folder, set(SHARED))
            assert {other.partition("/")[0] for other in others} <= allowed, file
    del included["simd/foreach_isa.h"]
    TopologicalSorter(included).prepare()
