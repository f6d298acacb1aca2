"""Builds the operator libraries and the host module; everything else is in pyproject.toml.

VQE_FAST_BUILD=none installs pure Python; VQE_FAST_BUILD=host builds the host module alone, for
libraries that were built under another Python. FORCE_CUDA=1 builds the CUDA library even where
torch has no CUDA, which needs nvcc only. TORCH_CUDA_ARCH_LIST and MAX_JOBS mean what they mean to
PyTorch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

# Folders with packages, and those packages: kernels and training are beside the rest of it.
ROOTS = {"vqe_fast": "vqe_fast", "kernels": "vqe_fast.kernels", "training": "vqe_fast.training"}
PACKAGE_DATA = {
    "vqe_fast": ["py.typed"],
    "vqe_fast.comparison": ["page/*.html", "page/*.css", "page/*.js"],
    "vqe_fast.evaluation.protocols": ["*.yaml"],
    "vqe_fast.training.comparisons": ["*.yaml"],
    "vqe_fast.training.recipes": ["*.yaml"],
    "vqe_fast.weights": ["*.toml", "*.safetensors"],
}

# Absolute, because ninja compiles in a folder of its own.
CSRC = Path("csrc").resolve()
TORCH_TARGET = "2.10"
DEFAULT_CUDA_ARCHS = "8.0;9.0+PTX"


def stop(sentence: str) -> None:
    """Ends the build with one sentence instead of a traceback."""
    raise SystemExit(f"vqe_fast: {sentence}")


def packages() -> dict[str, str]:
    """The folder of each package."""
    found = {}
    for folder, package in ROOTS.items():
        found[package] = folder
        for name in find_packages(folder):
            found[f"{package}.{name}"] = f"{folder}/{name.replace('.', '/')}"
    return found


def sources(*patterns: str) -> list[str]:
    """The files of csrc with such names, relative to here."""
    found = [path for pattern in patterns for path in sorted(CSRC.glob(pattern))]
    return [path.relative_to(CSRC.parent).as_posix() for path in found]


def native_build() -> tuple[list[Extension], type]:
    """The extensions to build here, and the build command that builds them."""
    try:
        import pybind11
        import torch
        from torch.utils import cpp_extension
    except ImportError as error:
        stop(
            f"{error.name} is needed to build the operators: install it first "
            "(pip install torch pybind11 ninja), or set VQE_FAST_BUILD=none for pure Python"
        )
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler.split()[0]) is None:
        stop(
            f"there is no C++ compiler {compiler!r}: install g++ or clang++ or set CXX, "
            "or set VQE_FAST_BUILD=none for pure Python"
        )

    # Messages of checks say where they stand from these folders on: builds in others are the same.
    folders = {CSRC.parent: ".", Path(torch.__file__).parent: "torch"}
    short_paths = [f"-ffile-prefix-map={folder}={name}" for folder, name in folders.items()]
    target = ["-DTORCH_TARGET_VERSION=0x020a000000000000", "-DTORCH_STABLE_ONLY"]
    # Functions that take vectors stay within their file: how vectors are passed is no matter.
    # Errors of arithmetic are not read, so calls to sqrt need not set errno; the results of
    # floating-point operations stay what the standard says.
    optimise = [
        "-O3",
        "-g0",
        "-std=c++20",
        "-fvisibility=hidden",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-Wno-psabi",
        *short_paths,
    ]
    extensions = [
        cpp_extension.CppExtension(
            "vqe_fast._ops_cpu",
            sources("library.cpp", "*/*_cpu.cpp"),
            include_dirs=[str(CSRC)],
            extra_compile_args=[*target, *optimise],
            py_limited_api=True,
        )
    ]
    toolkit, archs = "", ""
    cuda_home = find_cuda(cpp_extension)
    if cuda_home and (os.environ.get("FORCE_CUDA") == "1" or torch.version.cuda):
        cpp_extension.CUDA_HOME = cuda_home
        archs = cuda_archs(torch)
        toolkit = nvcc_version(cuda_home)
        extensions.append(
            cpp_extension.CppExtension(
                "vqe_fast._ops_cuda",
                sources("*.cu", "*/*_cuda.cu"),
                include_dirs=[str(CSRC), f"{cuda_home}/include"],
                extra_compile_args={
                    "cxx": [*target, *optimise, "-DUSE_CUDA"],
                    "nvcc": [
                        *(*target, "-O3", "-std=c++20", "-DUSE_CUDA", "--cudart=static"),
                        *("-Xcompiler", ",".join(short_paths)),
                    ],
                },
                extra_link_args=[
                    "-Wl,--no-as-needed",
                    "-ltorch",
                    f"-L{cuda_home}/lib64",
                    f"-L{cuda_home}/lib",
                    "-lcudart_static",
                    "-ldl",
                    "-lrt",
                    "-lpthread",
                ],
                py_limited_api=True,
            )
        )
    elif os.environ.get("FORCE_CUDA") == "1":
        stop("FORCE_CUDA=1, but there is no nvcc: install the CUDA toolkit or set CUDA_HOME")
    facts = build_facts(compiler, torch.__version__, toolkit, archs)
    extensions.append(host_module(pybind11.get_include(), facts))
    for extension in extensions:
        extension.depends = sources("**/*.*h")
    return extensions, cpp_extension.BuildExtension.with_options(no_python_abi_suffix=True)


def build_facts(compiler: str, torch_headers: str, toolkit: str, archs: str) -> dict[str, str]:
    """What ``vqe_fast.info()`` says of a build, as macros."""
    return {
        "VQE_FAST_COMPILER": compiler_version(compiler),
        "VQE_FAST_TORCH_HEADERS": torch_headers,
        "VQE_FAST_TORCH_TARGET": TORCH_TARGET,
        "VQE_FAST_CUDA_TOOLKIT": toolkit,
        "VQE_FAST_CUDA_ARCHS": archs,
    }


def host_module(pybind11_headers: str, facts: dict[str, str]) -> Extension:
    """The one part that is compiled for one version of Python; needs no torch."""
    return Extension(
        "vqe_fast._host",
        sources("host.cpp"),
        include_dirs=[str(CSRC), pybind11_headers],
        define_macros=[(name, f'"{value}"') for name, value in facts.items()],
        extra_compile_args=["-O1", "-g0", "-std=c++20", "-fvisibility=hidden"],
        language="c++",
    )


def find_cuda(cpp_extension: object) -> str:
    """The CUDA toolkit's folder, or an empty string."""
    if asked := os.environ.get("CUDA_HOME"):
        return asked
    if shutil.which("nvcc") is None:
        return str(getattr(cpp_extension, "CUDA_HOME", None) or "")
    # nvcc itself knows best: the one on the path may be a script that calls it.
    command = ["nvcc", "--dryrun", "-x", "cu", "-c", os.devnull]
    said = subprocess.run(command, capture_output=True, text=True).stderr
    top = next((line for line in said.splitlines() if line.startswith("#$ TOP=")), "")
    return str(Path(top.removeprefix("#$ TOP=")).resolve()) if top else ""


def cuda_archs(torch: object) -> str:
    """The architectures asked for, those of the GPUs here, or the default."""
    asked = os.environ.get("TORCH_CUDA_ARCH_LIST")
    cuda = torch.cuda  # type: ignore[attr-defined]
    if not asked and cuda.is_available():
        found = {cuda.get_device_capability(i) for i in range(cuda.device_count())}
        asked = ";".join(f"{major}.{minor}" for major, minor in sorted(found))
    asked = asked or DEFAULT_CUDA_ARCHS
    os.environ["TORCH_CUDA_ARCH_LIST"] = asked
    return asked


def compiler_version(compiler: str) -> str:
    """The first line of what the compiler says of itself."""
    run = subprocess.run([*compiler.split(), "--version"], capture_output=True, text=True)
    return run.stdout.partition("\n")[0].strip()


def nvcc_version(cuda_home: str) -> str:
    """The release number of nvcc."""
    run = subprocess.run([f"{cuda_home}/bin/nvcc", "--version"], capture_output=True, text=True)
    return run.stdout.partition("release ")[2].partition(",")[0]


wanted = os.environ.get("VQE_FAST_BUILD")
if wanted not in (None, "", "none", "host"):
    stop(f"VQE_FAST_BUILD may be none or host, or not set; got {wanted!r}")
ext_modules: list[Extension] = []
cmdclass: dict[str, type] = {}
if wanted == "host":
    import pybind11

    facts = build_facts(os.environ.get("CXX", "c++"), "", "", "")
    ext_modules = [host_module(pybind11.get_include(), facts)]
elif wanted != "none" and "sdist" not in sys.argv:
    ext_modules, build = native_build()
    cmdclass = {"build_ext": build}

setup(
    packages=list(packages()),
    package_dir=packages(),
    package_data=PACKAGE_DATA,
    ext_modules=ext_modules,
    cmdclass=cmdclass,
)
