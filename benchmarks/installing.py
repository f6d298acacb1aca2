"""Gets the package to where a run can import it: what is installed, a wheel, or a build."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from stages import DONE, RED, ROOT

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
BUILD = ["--no-build-isolation", "--no-deps", "--no-index"]
_FACTS = "import json, vqe_fast; print(json.dumps(vqe_fast.info()))"
_NEEDED = ("pybind11", "ninja", "setuptools", "numpy")


def install(stages, site, wheel):
    """The stage that makes ``import vqe_fast`` work with its CUDA library in all later ones.

    In this order: what is installed already, if it has a CUDA library that loads; a wheel, the one
    given or one of ``dist/``, if pip takes it for this Python; a build right here.

    Args:
        stages: of the run; their environment gets the place.
        site: folder to install into.
        wheel: a file, or None.

    Returns:
        Whether it worked.
    """
    start = time.monotonic()
    said = _cuda_library(stages.environment)
    if said == "loaded":
        stages.record("package", time.monotonic() - start, DONE, "it is installed")
        return True
    stages.environment["PYTHONPATH"] = str(site)
    sys.path.insert(0, str(site))
    wheels = [wheel] if wheel else sorted((ROOT / "dist").glob("*.whl"))
    for each in wheels:
        command = [*PIP, "install", "--no-index", "--no-deps", "--target", str(site), str(each)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            said = _cuda_library(stages.environment)
            if said == "loaded":
                stages.record("package", time.monotonic() - start, DONE, f"of {each.name}")
                return True
            shutil.rmtree(site)
    if problem := _cannot_build():
        stages.record("package", time.monotonic() - start, RED, problem)
        return False
    command = [*PIP, "install", "-v", *BUILD, "--target", str(site), str(ROOT)]
    stages.environment["FORCE_CUDA"] = "1"
    built = stages.run("package", command, 240) is not None
    said = _cuda_library(stages.environment) if built else said
    if said != "loaded":
        stages.record("CUDA library", 0, RED, said)
    return said == "loaded"


def build_for(stages, scratch, archs):
    """The stage that builds a wheel whose CUDA library holds code for some architectures."""
    stages.environment |= {"FORCE_CUDA": "1", "TORCH_CUDA_ARCH_LIST": archs}
    name = f"CUDA library for {archs}"
    command = [*PIP, "wheel", *BUILD, "--wheel-dir", str(scratch), str(ROOT)]
    if stages.run(name, command, 600) is None:
        return
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(scratch / "wheel")
    tool = shutil.which("cuobjdump") or _cuobjdump_of_triton()
    libraries = list((scratch / "wheel").rglob("_ops_cuda*"))
    dumped = subprocess.run([tool, "--list-elf", *libraries], capture_output=True, text=True).stdout
    missing = [arch for arch in archs.split(";") if f"sm_{arch.replace('.', '')}" not in dumped]
    if missing:
        stages.record(name, 0, RED, f"there is no code for {', '.join(missing)}")


def _cuobjdump_of_triton():
    (folder,) = importlib.util.find_spec("triton").submodule_search_locations
    return Path(folder) / "backends" / "nvidia" / "bin" / "cuobjdump"


def _cuda_library(environment):
    """What ``vqe_fast.info()`` says of the CUDA library, or why it says nothing."""
    command = [sys.executable, "-P", "-c", _FACTS]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=os.sep)
    if run.returncode:
        return (run.stderr.strip().splitlines() or ["it does not start"])[-1]
    return json.loads(run.stdout.splitlines()[-1])["built"]["cuda_library"]


def _cannot_build():
    """Why nothing can be built here, in a sentence; nothing if it can."""
    missing = [name for name in _NEEDED if not _has(name)]
    if missing:
        return f"a build needs {', '.join(missing)}; install them or carry a wheel in dist/"
    if shutil.which(os.environ.get("CXX", "c++").split()[0]) is None:
        return "there is no C++ compiler; carry a wheel for this Python in dist/"
    return None


def _has(module):
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True).returncode == 0
