"""Gets the package to where a run can import it.

Both libraries load under any Python and any torch from 2.10 on. What ``make gpu-package`` leaves in
``.gpu/package`` are these two, so that a machine with another Python only compiles the host module.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from stages import DONE, RED, ROOT

PACKAGE = ROOT / ".gpu" / "package"
LIBRARIES = ("_ops_cpu.so", "_ops_cuda.so")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
BUILD = ["--no-build-isolation", "--no-deps", "--no-index"]
_SOURCES = "sources.sha256"
_SETUP = [sys.executable, "setup.py", "--quiet"]
_NEEDED = ("pybind11", "ninja", "setuptools", "numpy")


def install(stages, site, *, package=PACKAGE, wheel=None, library="cuda"):
    """The stages that make ``import vqe_fast`` work with its libraries in all later ones.

    In this order: what is installed already, if its CUDA library loads; the libraries of a package;
    a wheel, the one given or one of ``dist/``, if pip takes it for this Python; a build right here.
    Only the last one needs nvcc.

    Args:
        stages: of the run; their environment gets the place.
        site: folder to install into.
        package: folder that ``make gpu-package`` filled, or not.
        wheel: a file, or None.
        library: that must load: ``cuda``, or ``cpu`` where torch has no CUDA.

    Returns:
        Whether it worked.
    """
    start = time.monotonic()

    def worked(said):
        stages.record("package", time.monotonic() - start, DONE, said)
        return True

    if library == "cuda" and _loads(stages.environment, library) == "loaded":
        return worked("it is installed")
    stages.environment["PYTHONPATH"] = str(site)
    sys.path.insert(0, str(site))
    problem = _with_libraries(site, package)
    if problem is None:
        problem = _loads(stages.environment, library)
    if problem == "loaded":
        return worked("with the libraries of make gpu-package")
    print(f"package: {package} is not taken: {problem}", flush=True)
    for each in [wheel] if wheel else sorted((ROOT / "dist").glob("*.whl")):
        shutil.rmtree(site, ignore_errors=True)
        command = [*PIP, "install", "--no-index", "--no-deps", "--target", str(site), str(each)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            problem = _loads(stages.environment, library)
            if problem == "loaded":
                return worked(f"of {each.name}")
    if missing := _cannot_build():
        stages.record("package", time.monotonic() - start, RED, missing)
        return False
    shutil.rmtree(site, ignore_errors=True)
    command = [*PIP, "install", "-v", *BUILD, "--target", str(site), str(ROOT)]
    stages.environment["FORCE_CUDA"] = "1"
    built = stages.run("package", command, 240) is not None
    problem = _loads(stages.environment, library) if built else problem
    if problem != "loaded":
        stages.record("libraries", 0, RED, problem)
    return problem == "loaded"


def start_host_module(stages, site):
    """Begins to compile the one part that is for one Python; nothing if it is there already."""
    if next((site / "vqe_fast").glob("_host*"), None) or not site.exists():
        return None
    command = [*_SETUP, "build_ext", "--build-lib", str(site)]
    command += ["--build-temp", str(stages.scratch / "host")]
    return stages.start("host module", command, 60, {"VQE_FAST_BUILD": "host"})


def build_package(stages, archs, package=PACKAGE):
    """The stage that builds both libraries, the CUDA one for some architectures.

    Args:
        stages: of the run.
        archs: such as ``"8.0;9.0"``.
        package: folder that gets them.
    """
    name = f"CUDA library for {archs}"
    command = [*PIP, "wheel", *BUILD, "--wheel-dir", str(stages.scratch), str(ROOT)]
    if stages.run(name, command, 900, {"FORCE_CUDA": "1", "TORCH_CUDA_ARCH_LIST": archs}) is None:
        return
    (wheel,) = stages.scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(stages.scratch / "wheel")
    pack(stages.scratch / "wheel" / "vqe_fast", package)
    tool = shutil.which("cuobjdump") or _cuobjdump_of_triton()
    command = [tool, "--list-elf", package / "_ops_cuda.so"]
    dumped = subprocess.run(command, capture_output=True, text=True).stdout
    missing = [arch for arch in archs.split(";") if f"sm_{arch.replace('.', '')}" not in dumped]
    if missing:
        stages.record(name, 0, RED, f"there is no code for {', '.join(missing)}")


def pack(built, package):
    """Fills ``package`` with the libraries of a built ``vqe_fast`` and what they were made of."""
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for name in LIBRARIES:
        if (built / name).exists():
            shutil.copy(built / name, package)
    (package / _SOURCES).write_text(_digest(), "utf-8")


def _with_libraries(site, package):
    """Lays out this checkout with libraries built elsewhere; why that is not possible, or None."""
    if not (package / _SOURCES).exists():
        return "there is none; make gpu-package makes it"
    if (package / _SOURCES).read_text("utf-8") != _digest():
        return "csrc/ or setup.py has changed since; make gpu-package again"
    pure = os.environ | {"VQE_FAST_BUILD": "none"}
    for command in (["build_py", "--build-lib"], ["dist_info", "--output-dir"]):
        run = subprocess.run(
            [*_SETUP, *command, str(site)], cwd=ROOT, env=pure, capture_output=True, text=True
        )
        if run.returncode:
            return (run.stderr.strip().splitlines() or ["setup.py failed"])[-1]
    for library in package.glob("*.so"):
        shutil.copy(library, site / "vqe_fast")
    return None


def _digest():
    """Of what the libraries are made of: all but the host module's source."""
    files = [*sorted((ROOT / "csrc").rglob("*")), ROOT / "setup.py"]
    digest = hashlib.sha256()
    for file in files:
        if file.name != "host.cpp" and file.is_file():
            name = file.relative_to(ROOT).as_posix()
            digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _cuobjdump_of_triton():
    (folder,) = importlib.util.find_spec("triton").submodule_search_locations
    return Path(folder) / "backends" / "nvidia" / "bin" / "cuobjdump"


def _loads(environment, library):
    """``"loaded"``, or why a library of the package is not there."""
    code = f"from vqe_fast.ops import _library; print(_library.{library}_problem or 'loaded')"
    command = [sys.executable, "-P", "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=os.sep)
    said = run.stderr if run.returncode else run.stdout
    return (said.strip().splitlines() or ["it does not start"])[-1]


def _cannot_build():
    """Why nothing can be built here, in a sentence; nothing if it can."""
    missing = [name for name in _NEEDED if not _has(name)]
    if missing:
        return f"a build needs {', '.join(missing)}; install them or carry .gpu/package"
    if shutil.which(os.environ.get("CXX", "c++").split()[0]) is None:
        return "there is no C++ compiler; carry a wheel for this Python in dist/"
    return None


def _has(module):
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True).returncode == 0
